/* TCP as flows see it: state flags of both directions, and when a pair is over
 * (facts datapath-behaviour.md 6, shared-memory.md 5.3). */
#include "flow_path.h"

enum { BIT_FIN = 1, BIT_SYN = 2, BIT_RST = 4, BIT_ACK = 0x10 };

struct segment_header {
    uint8_t bits;
    uint32_t seq, ack, end;     /* `end`: sequence of what follows the payload */
};

static bool read_header(const struct packet *p, struct segment_header *segment)
{
    if (p->proto != PROTO_TCP || is_later_fragment(p) || p->l4 + TCP_LEN > p->l3_end)
        return false;
    const uint8_t *tcp = p->buf + p->l4;
    uint32_t header = (tcp[12] >> 4) * 4u, length = p->l3_end - p->l4;
    if (header < TCP_LEN || header > length)
        return false;
    segment->bits = tcp[13];
    segment->seq = get32(tcp + 4);
    segment->ack = get32(tcp + 8);
    segment->end = segment->seq + length - header;
    return true;
}

static void set_flags(uint8_t *entry, uint16_t flags)
{
    uint16_t old = shm_load16(entry + FE_TCP);
    if ((old | flags) != old)
        store16(entry + FE_TCP, old | flags);
}

/* The entry's sequence is that of its SYN until a FIN gives it its own. */
static void note_start(uint8_t *entry, uint8_t *partner, const struct segment_header *segment)
{
    uint16_t state = shm_load16(entry + FE_TCP);
    if (!(segment->bits & BIT_SYN) || (state & (FTCP_EST | FTCP_FIN)))
        return;
    store32(entry + FE_TCP_SEQ, segment->seq);
    set_flags(entry, FTCP_SYN);
    if (partner)
        set_flags(partner, FTCP_SYN_R);
}

static void note_end(uint8_t *entry, uint8_t *partner, const struct segment_header *segment)
{
    if (!(segment->bits & BIT_FIN) || (shm_load16(entry + FE_TCP) & FTCP_FIN))
        return;
    store32(entry + FE_TCP_SEQ, segment->end);
    set_flags(entry, FTCP_FIN);
    if (partner)
        set_flags(partner, FTCP_FIN_R);
}

/* What this side acknowledges of the other's; true: both sides' ends are acknowledged. */
static bool note_ack(uint8_t *entry, uint8_t *partner, const struct segment_header *segment)
{
    if (!(segment->bits & BIT_ACK))
        return false;
    if (shm_load32(entry + FE_TCP_ACK) != segment->ack)
        store32(entry + FE_TCP_ACK, segment->ack);
    if (!partner)
        return false;
    uint16_t other = shm_load16(partner + FE_TCP);
    bool next = segment->ack == shm_load32(partner + FE_TCP_SEQ) + 1;
    if ((other & (FTCP_SYN | FTCP_EST | FTCP_FIN)) == FTCP_SYN && next) {
        set_flags(partner, FTCP_EST);
        set_flags(entry, FTCP_EST_R);
    }
    if ((other & FTCP_FIN) && next)
        set_flags(partner, FTCP_HALF_CLOSE);
    return (shm_load16(partner + FE_TCP) & FTCP_HALF_CLOSE)
        && (shm_load16(entry + FE_TCP) & FTCP_HALF_CLOSE);
}

/* A reset that its receiver will believe (RFC 5961 3.2): at the sequence that it expects, or
 * the refusal of its SYN. */
static bool is_acceptable(const uint8_t *entry, const uint8_t *partner,
                          const struct segment_header *segment)
{
    uint16_t state = shm_load16(entry + FE_TCP), other = shm_load16(partner + FE_TCP);
    if ((segment->bits & BIT_ACK) && (other & (FTCP_SYN | FTCP_EST | FTCP_FIN)) == FTCP_SYN
        && !(state & FTCP_SYN))
        return segment->ack == shm_load32(partner + FE_TCP_SEQ) + 1;
    uint32_t expected = shm_load32(partner + FE_TCP_ACK);
    return expected && segment->seq == expected;
}

static bool note_reset(uint8_t *entry, const uint8_t *partner,
                       const struct segment_header *segment)
{
    if (!(segment->bits & BIT_RST) || !partner || !is_acceptable(entry, partner, segment))
        return false;
    set_flags(entry, FTCP_RST);
    return true;
}

void flow_track_tcp(struct datapath *dp, const struct packet *p, uint32_t index)
{
    struct segment_header segment;
    uint8_t *entry = hash_entry(&dp->flows, index), *partner;
    if (!read_header(p, &segment))
        return;
    partner = flow_partner(dp, entry);
    bool over = note_reset(entry, partner, &segment);
    if (!(segment.bits & BIT_RST)) {
        note_start(entry, partner, &segment);
        note_end(entry, partner, &segment);
        over = note_ack(entry, partner, &segment);
    }
    if (!over)
        return;
    set_flags(entry, FTCP_DEAD);
    set_flags(partner, FTCP_DEAD);
    flow_close(dp, index);
}
