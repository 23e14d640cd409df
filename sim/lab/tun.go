// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// vnetHeader is the size of struct virtio_net_hdr, which precedes each packet
// and says how its checksum and its segmentation are still to be done. The
// relay passes it on untouched: the kernel on the other side understands it,
// and a bulk transfer crosses in packets of 64 KiB.
const vnetHeader = 10

// maxPacket is the largest that a TUN gives: its header and one GSO packet.
const maxPacket = vnetHeader + 65535

// openUplink makes the TUN of a site, in the calling thread's namespace. It
// lives as long as the descriptor.
func openUplink() (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	if err := shapeUplink(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func shapeUplink(fd int) error {
	request, err := unix.NewIfreq(uplink)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("making TUN: %w", err)
	}
	const tcp = unix.TUN_F_CSUM | unix.TUN_F_TSO4
	err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp|unix.TUN_F_USO4|unix.TUN_F_USO6)
	if errors.Is(err, unix.EINVAL) { // UDP segmentation came with Linux 6.2
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp)
	}
	if err != nil {
		return fmt.Errorf("setting offloads of TUN: %w", err)
	}
	return nil
}
