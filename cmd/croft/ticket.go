// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/safe"
)

func (a *app) ticket() *cobra.Command {
	c := &cobra.Command{Use: "ticket", Short: "Give, keep, split and check tickets"}
	c.AddCommand(a.ticketList(), a.ticketGive(), a.ticketSplit(), a.ticketKeep(), a.ticketFetch(), a.ticketVerify(), a.ticketMoved(),
		a.show("show TICKET", "Print a ticket's statements, checked"))
	return c
}

// ticketArg says what may stand where a ticket is wanted.
const ticketArg = "a file, - for stdin, or the name of one in your purse"

// rawTicket is a chain as it was read, before anything is verified.
type rawTicket struct {
	name  string // of the file, or its own
	chain [][]byte
}

var nameForm = regexp.MustCompile(`^[a-z2-7]{4,52}$`)

// isName reports whether an argument can be the beginning of a ticket's id.
func isName(arg string) bool { return nameForm.MatchString(arg) }

// tickets finds what an argument names.
func (a *app) tickets(ctx context.Context, arg string) ([]rawTicket, error) {
	if arg != "-" && !exists(arg) && isName(arg) {
		return a.ticketNamed(ctx, arg)
	}
	in, name := a.in, "stdin"
	if arg != "-" {
		f, err := os.Open(arg)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("a ticket is "+ticketArg, "no file %q", arg)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, name = f, arg
	}
	text, err := io.ReadAll(io.LimitReader(in, lease.MaxArmour+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	chains, err := lease.ParseArmour(text)
	if err != nil {
		return nil, because(err, usage("`croft ticket give` writes one; ask its issuer for it again", "%s is not a ticket: %w", name, err))
	}
	list := make([]rawTicket, len(chains))
	for i, c := range chains {
		if list[i] = (rawTicket{name, c}); len(chains) > 1 {
			list[i].name = fmt.Sprintf("%s, ticket %d", name, i+1)
		}
	}
	return list, nil
}

// ticketNamed finds a ticket that is in the purse, or was given out of it.
func (a *app) ticketNamed(ctx context.Context, name string) ([]rawTicket, error) {
	held, _, err := a.lookIntoPurse(ctx)
	if err != nil {
		return nil, err
	}
	var found []rawTicket
	seen := map[lease.ID]bool{}
	add := func(id lease.ID, chain [][]byte) {
		if strings.HasPrefix(id.String(), name) && !seen[id] {
			seen[id] = true
			found = append(found, rawTicket{id.Short(), chain})
		}
	}
	for _, h := range held {
		add(h.ID, h.Chain.Bytes())
		for _, i := range h.Issued {
			if i.Ticket != nil {
				add(i.ID, append(h.Chain.Bytes(), i.Bytes))
			}
		}
	}
	switch len(found) {
	case 1:
		return found, nil
	case 0:
		return nil, usage("a ticket is "+ticketArg+"; `croft ticket list` shows those", "no file and no ticket %q", name)
	}
	return nil, usage("type more of it", "%d tickets begin with %q", len(found), name)
}

// lookIntoPurse returns what is in it; who has no key has no purse.
func (a *app) lookIntoPurse(ctx context.Context) (held []purse.Held, restored bool, err error) {
	key, err := a.readKey(a.keyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	held, restored, err = safe.Look(ctx, a.purseDir(), key)
	return held, restored, damaged(err)
}

// keepTicket puts a ticket into the purse and returns it verified.
func (a *app) keepTicket(ctx context.Context, key *sign.Key, t rawTicket) (lease.Opened, error) {
	if _, err := a.purse(ctx, key, purse.Keep{Chain: t.chain}); err != nil {
		return lease.Opened{}, unkept(t.name, err)
	}
	return lease.Open(t.chain[len(t.chain)-1])
}

// text is a ticket as it is mailed: a line for people, and the block.
func text(chain [][]byte) string {
	head := ""
	if o, err := lease.Open(chain[len(chain)-1]); err == nil {
		if t, ok := o.Statement.(*lease.Ticket); ok {
			head = fmt.Sprintf("Croft ticket %s at node %s for %s: %s, %s to %s, degree %d\n", o.ID.Short(), t.Node.Short(), t.Holder.Short(),
				t.RSet, day(t.From), day(t.Until), t.Degree)
		}
	}
	return head + string(lease.Armour(chain))
}

func (a *app) printText(opened []lease.Opened) error {
	var chain [][]byte
	for _, o := range opened {
		chain = append(chain, o.Signed.Bytes())
	}
	if a.json {
		return a.print(struct {
			Text string `json:"text"`
		}{text(chain)}, nil)
	}
	_, err := io.WriteString(a.out, text(chain))
	return err
}

// day prints an instant by date and time, in UTC: who gives and who gets may live
// in different zones.
func day(sec int64) string { return time.Unix(sec, 0).UTC().Format("2006-01-02 15:04:05Z") }

// kept is a ticket as `croft ticket keep` and list tell of it.
type kept struct {
	Ticket  lease.ID        `json:"ticket"`
	Node    lease.Principal `json:"node"`
	Issuer  lease.Principal `json:"issuer"`
	RSet    lease.RSet      `json:"rset"`
	From    int64           `json:"from"`
	Until   int64           `json:"until"`
	Degree  uint16          `json:"degree"`
	Depth   int             `json:"depth"` // claims on its chain
	Left    lease.RSet      `json:"left"`  // what one more child can have until the end
	Slots   int             `json:"slots_free"`
	Redeems int             `json:"redeems"`
	Given   []gave          `json:"given"`
}

type gave struct {
	Ticket lease.ID        `json:"ticket"`
	Holder lease.Principal `json:"holder"`
	Slot   uint8           `json:"slot"`
	RSet   lease.RSet      `json:"rset"`
	From   int64           `json:"from"`
	Until  int64           `json:"until"`
	Degree uint16          `json:"degree"`
}

func newKept(h purse.Held, now int64) kept {
	rest := lease.Term{From: max(now, h.From), Until: h.Until}
	k := kept{Ticket: h.ID, Node: h.Node, Issuer: h.Issuer, RSet: h.RSet, From: h.From, Until: h.Until, Degree: h.Degree,
		Depth: h.Chain.Len(), Given: []gave{}}
	if rest.Seconds() > 0 {
		k.Left, k.Slots = h.Left(rest), h.Free(rest)
	}
	for _, i := range h.Issued {
		if t := i.Ticket; t != nil {
			k.Given = append(k.Given, gave{i.ID, t.Holder, t.Slot, t.RSet, t.From, t.Until, t.Degree})
		} else {
			k.Redeems++
		}
	}
	return k
}

func (a *app) ticketList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "What is in your purse, and what you gave of it", Args: cobra.NoArgs,
		Long: "List the tickets that you hold: at which node, for how long, what you can still sign under each until it ends, and what you have signed. A ticket's name is the beginning of its id.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			held, restored, err := a.lookIntoPurse(cmd.Context())
			if err != nil {
				return err
			}
			if restored {
				a.say("note: %s", copied)
				a.say("note: %s", copiedHint)
			}
			if len(held) == 0 {
				a.say("no tickets; `croft ticket keep` puts one that was given to you here")
			}
			list := make([]kept, len(held))
			for i, h := range held {
				list[i] = newKept(h, time.Now().Unix())
			}
			return printEach(a, list, "TICKET\tNODE\tUNTIL\tDEGREE\tRSET\tLEFT\tSLOTS\tREDEEMS\tGIVEN", func(w io.Writer, k kept) {
				free := k.Left.String()
				if free == "" {
					free = "nothing"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%d\t%s\n", k.Ticket.Short(), k.Node.Short(), day(k.Until), k.Degree, k.RSet, free,
					k.Slots, k.Redeems, givenTo(k.Given))
			})
		},
	}
}

func givenTo(list []gave) string {
	if len(list) == 0 {
		return "-"
	}
	names := make([]string, len(list))
	for i, g := range list {
		names[i] = g.Ticket.Short() + ">" + g.Holder.Short()
	}
	return strings.Join(names, " ")
}

func (a *app) ticketKeep() *cobra.Command {
	return &cobra.Command{
		Use: "keep FILE|-", Short: "Put a ticket that you were given into your purse", Args: cobra.ExactArgs(1),
		Long: "Verify a ticket that was given to you, and put it into your purse: then it has a name, `croft run --ticket NAME` draws on it, and it can be split and passed on. A mail with several tickets in it will do.",
		Example: `  croft ticket keep alice.ticket
  croft ticket keep - < mail`,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := a.tickets(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			for _, t := range raw {
				o, err := a.keepTicket(cmd.Context(), key, t)
				if err != nil {
					return err
				}
				st, ok := o.Statement.(*lease.Ticket)
				if !ok {
					return fmt.Errorf("the purse kept a %s", o.Kind())
				}
				err = a.print(newOffered(o.ID, st, ""), func(w io.Writer) {
					fmt.Fprintf(w, "%s\tat %s\t%s\tuntil %s\n", o.ID.Short(), st.Node.Short(), st.RSet, day(st.Until))
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) ticketMoved() *cobra.Command {
	return &cobra.Command{
		Use: "moved", Short: "Say that your purse is the newest and the only copy", Args: cobra.NoArgs,
		Long: "A purse that finds itself to be a copy signs nothing new, as it cannot know what was signed since the copy was made. If you moved it whole, or only changed its owner or mode, say so here. If another copy was used later than this one, do not: it would sign twice what it signed once, and anybody could prove that against you.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := a.readKey(a.keyPath())
			if errors.Is(err, fs.ErrNotExist) {
				return fail(exitNothing, "", "you have no key, and no purse")
			}
			if err != nil {
				return err
			}
			_, restored, err := safe.Look(cmd.Context(), a.purseDir(), key)
			if err != nil {
				return damaged(err)
			}
			if !restored {
				a.say("your purse is no copy: there is nothing to say")
				return nil
			}
			if _, err := a.purse(cmd.Context(), key, purse.Moved{}); err != nil {
				return damaged(err)
			}
			a.say("taken at your word: the purse of %s signs on", key.Principal().Short())
			return nil
		},
	}
}
