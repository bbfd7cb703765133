#include "drop_log.h"

#include <string.h>

#include "packet.h"
#include "wire.h"

enum { PROTO_HOP_BY_HOP = 0 };

static bool has_ports(uint8_t proto)
{
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

static void note_ports(struct drop_note *note, struct packet *p, uint8_t proto, uint32_t at)
{
    note->proto = proto;
    if (!has_ports(proto) || !has_bytes(p, at, 4))
        return;
    note->sport = get16(p->buf + at);
    note->dport = get16(p->buf + at + 2);
}

/* Reads the header anew: the packet may have been dropped because it is none. */
static void note_ip(struct drop_note *note, struct packet *p)
{
    const uint8_t *ip = p->buf + p->l3;
    if (p->l3 < p->off)
        return;
    if (p->l3_type == TYPE_IP4 && has_bytes(p, p->l3, IP4_LEN)) {
        memcpy(note->src, ip + 12, 4);
        memcpy(note->dst, ip + 16, 4);
        bool first = !(get16(ip + 6) & 0x1fff);
        note_ports(note, p, ip[9], first ? p->l3 + 4 * (ip[0] & 15) : p->off + p->len);
    } else if (p->l3_type == TYPE_IP6 && has_bytes(p, p->l3, IP6_LEN)) {
        memcpy(note->src, ip + 8, 16);
        memcpy(note->dst, ip + 24, 16);
        uint32_t at = p->l3 + IP6_LEN;
        uint8_t proto = ip[6];
        if (proto == PROTO_HOP_BY_HOP && has_bytes(p, at, 8)) {
            proto = p->buf[at];
            at += 8 + 8 * (uint32_t)p->buf[at + 1];
        }
        note_ports(note, p, proto, at);
    }
}

/* Originals of packets that went on as copies are counted, but nothing is lost with them. */
static bool is_loss(int reason)
{
    return reason != DROP_CLONED_ORIGINAL && reason != DROP_TRAP_ORIGINAL;
}

void drop_log_add(struct drop_log *log, struct packet *p, uint32_t vif, int reason, uint64_t now)
{
    if (log->only == DROP_ANY ? !is_loss(reason) : log->only != reason)
        return;
    struct drop_note *note = &log->notes[log->written++ % DROP_NOTES];
    memset(note, 0, sizeof *note);
    note->at = now;
    note->vif = vif;
    note->reason = (uint8_t)reason;
    if (log->brief)
        return;
    note->vrf = p->vrf;
    note->l3_type = p->l3_type;
    note->length = p->len < UINT16_MAX ? (uint16_t)p->len : UINT16_MAX;
    note_ip(note, p);
}

uint32_t drop_log_read(const struct drop_log *log, uint32_t skip, struct drop_note *out,
                       uint32_t max)
{
    uint64_t kept = log->written - log->cleared;
    if (kept > DROP_NOTES)
        kept = DROP_NOTES;
    uint32_t count = 0;
    for (uint64_t i = skip; i < kept && count < max; i++)
        out[count++] = log->notes[(log->written - kept + i) % DROP_NOTES];
    return count;
}
