// SPDX-License-Identifier: Apache-2.0

package api

import "context"

func (*fake) OptOuts(context.Context, string) ([]OptOut, error) { return []OptOut{}, nil }
func (*fake) OptOut(context.Context, string) (OptOut, error)    { return OptOut{}, ErrNoOptOut }
func (*fake) TakeOptOut(_ context.Context, text string) (OptOut, error) {
	return OptOut{Text: text}, nil
}
