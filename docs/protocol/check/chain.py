# SPDX-License-Identifier: Apache-2.0
"""Chains (rules C1 to C10 of ../claims.md), answers (A1 to A9) and ends (E1 to E4)."""

from statement import ASK, CAPACITY, CLOSE, HOLD, LEASE, REDEEM, REJECT, REVOKE, TICKET, Statement, need

MAX_CLAIMS = 16


def holder(claim):
    return claim[1] if claim.kind == CAPACITY else claim[8]


def within(child, parent):
    """C6, C7 and C10."""
    need(all(amount <= parent.amount(r) for r, amount in child[3].items()), "C6")
    need(parent[4] <= child[4] and child[5] <= parent[5], "C7")
    need(parent[40] is None or child[40] is not None and child[40] <= parent[40], "C10")


def verify_chain(chain, node):
    """verify_chain returns the statements of a chain that must belong to node. Signatures come last."""
    need(chain, "C1", "empty")
    need(len(chain) <= MAX_CLAIMS + 1, "C1", f"{len(chain)} statements")
    links = []
    for data in chain:
        link = Statement(data)  # C9
        follow(links, link, node)
        links.append(link)
    for link in links:
        link.verify()  # C9
    return links


def follow(above, link, node):
    if not above:
        need(link.kind == CAPACITY, "C2", "does not begin with a capacity")
        need(link.node == node, "C4")
        return
    parent = above[-1]
    need(parent.kind in (CAPACITY, TICKET) and link.kind in (TICKET, REDEEM), "C2")
    need(link.kind == TICKET or parent.kind == TICKET, "C2", "a redeem under a capacity")
    need(link.kind == REDEEM or len(above) < MAX_CLAIMS, "C1", "too many claims")
    need(link[9] == parent.id, "C3")
    need(link.node == node, "C4")
    need(link.issuer == holder(parent), "C5")
    within(link, parent)
    if link.kind == TICKET:
        need(link[6] <= parent[6], "C8")


def verify_answer(wish, data):
    """verify_answer returns the statement that answers a wish, which is the caller's own or verified."""
    answer = Statement(data)
    verify_answer_of(wish, answer)
    return answer.verify()


def verify_answer_of(wish, answer):
    """A1 to A8."""
    need(wish.kind in (REDEEM, ASK), "A1", "no wish")
    need(answer.kind in (HOLD, LEASE, REJECT), "A1", "no answer")
    need(answer[9] == wish.id, "A1")
    need(answer.issuer == wish.node, "A2")
    if answer.kind != REJECT:
        need(answer[8] == wish.issuer, "A3")
        need(all(answer[key] == wish[key] for key in (3, 4, 5)), "A4")
    if answer.kind == LEASE:
        pool = "sharp" if wish.kind == REDEEM else wish[15]
        need(answer[11] == wish[11] and answer[15] == pool and answer[28] == wish[28], "A5")
        need(all(answer[key] == wish[key] for key in (33, 34, 35, 40)), "A8")
        need(answer[13] == wish[13] and (answer[23] is None) == (wish[13] is None), "A6")
        ports(wish[14] or [], answer[14] or [])


def ports(wished, given):
    """A7."""
    need(len(wished) == len(given), "A7")
    for (proto, number, inside), (got_proto, got_number, got_inside) in zip(wished, given):
        need((proto, inside) == (got_proto, got_inside) and number in (0, got_number), "A7")


def verify_end(claim, data):
    """verify_end returns the close or revoke that ends a hold or lease, verified before."""
    end = Statement(data)
    verify_end_of(claim, end)
    return end.verify()


def verify_end_of(claim, end):
    """E1 to E3."""
    need(claim.kind in (HOLD, LEASE), "E1", "has no end")
    need(end.kind in (CLOSE, REVOKE), "E1", "ends nothing")
    need(end[9] == claim.id, "E1")
    need(end.node == claim.node, "E2")
    need(end.issuer in ((claim[8], claim[28]) if end.kind == CLOSE else (claim.node,)), "E3")
