/* Fragments of datagrams: which ports they belong to, and which of them are refused.
 *
 * A datagram is known from its first fragment on for 2 seconds, the oldest gives way when there
 * are too many. Fragments that no receiver puts together, or that would put other bytes over
 * those that the head was judged by, are dropped (RFC 1858, RFC 3128, RFC 5722, RFC 7112). */
#include "fragment.h"

#include <stdlib.h>

#include "dp.h"
#include "hold.h"

enum {
    DATAGRAMS = 8192 + 1024, SLOTS = 8192, LIFE_MS = 2000, NONE = 0xffff,
    WAIT_EACH = 64, WAIT_ALL = 1024, MORE = 0x2000, OFFSET = 0x1fff, TCP_HEAD = 16,
    HEADERS_MAX = 8,
};
enum { NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_AUTHENTICATION = 51, NEXT_OPTIONS = 60 };

/* Compared and hashed as bytes: no padding. */
struct datagram_key {
    uint32_t nexthop, id;
    uint16_t vrf;
    uint8_t family, proto;
    uint8_t addresses[32];
};

struct datagram {
    struct datagram_key key;
    uint64_t until;
    uint16_t next;              /* in the slot's chain */
    uint16_t head_end;          /* bytes of payload that the head covers, 0: no head yet */
    uint8_t proto;              /* of the head's transport header */
    uint8_t ports[FRAGMENT_PORTS];
    struct parked_list waiting;
};

/* Datagrams lie in a ring by age. */
struct fragments {
    uint16_t slot[SLOTS];
    uint32_t first, count, waiting;
    struct parked_list ready;
    struct datagram datagram[DATAGRAMS];
};

/* What the headers of one fragment say; offsets in the buffer and in the datagram. */
struct piece { uint32_t id, payload, length, offset; bool more, is_fragment, is_whole; };

struct fragments *fragment_new(void)
{
    struct fragments *fragments = calloc(1, sizeof *fragments);
    if (fragments)
        memset(fragments->slot, 0xff, sizeof fragments->slot);
    return fragments;
}

bool fragment_pending(const struct datapath *dp)
{
    return dp->fragments->count || dp->fragments->ready.count;
}

/* --- datagrams that are known --- */

static uint16_t *slot_of(struct datapath *dp, const struct datagram_key *key)
{
    uint32_t word[sizeof *key / 4];
    uint64_t h = dp->seed * 0x9e3779b97f4a7c15u;
    memcpy(word, key, sizeof *key);
    for (uint32_t i = 0; i < sizeof *key / 4; i++) {
        h = (h ^ word[i]) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    return &dp->fragments->slot[h % SLOTS];
}

static struct datagram *find_datagram(struct datapath *dp, const struct datagram_key *key)
{
    struct datagram *all = dp->fragments->datagram;
    for (uint16_t at = *slot_of(dp, key); at != NONE; at = all[at].next)
        if (memcmp(&all[at].key, key, sizeof *key) == 0)
            return &all[at];
    return NULL;
}

static void forget_oldest(struct datapath *dp)
{
    struct fragments *fragments = dp->fragments;
    struct datagram *oldest = &fragments->datagram[fragments->first];
    uint16_t *at = slot_of(dp, &oldest->key);
    while (*at != fragments->first)
        at = &fragments->datagram[*at].next;
    *at = oldest->next;
    fragments->waiting -= oldest->waiting.count;
    park_drop(dp, &oldest->waiting, DROP_NO_FRAG_ENTRY);
    fragments->first = (fragments->first + 1) % DATAGRAMS;
    fragments->count--;
}

static struct datagram *new_datagram(struct datapath *dp, const struct datagram_key *key)
{
    struct fragments *fragments = dp->fragments;
    if (fragments->count == DATAGRAMS)
        forget_oldest(dp);
    uint32_t place = (fragments->first + fragments->count++) % DATAGRAMS;
    struct datagram *made = &fragments->datagram[place];
    uint16_t *slot = slot_of(dp, key);
    memset(made, 0, sizeof *made);
    made->key = *key;
    made->until = dp->now + (uint64_t)LIFE_MS * 1000000;
    made->next = *slot;
    *slot = (uint16_t)place;
    return made;
}

/* --- headers --- */

static bool read_ip4(const struct packet *p, struct piece *piece)
{
    const uint8_t *ip = p->buf + p->l3;
    uint16_t field = get16(ip + 6);
    piece->id = get16(ip + 4);
    piece->payload = p->l4;
    piece->length = p->l3_end - p->l4;
    piece->offset = (field & OFFSET) * 8u;
    piece->more = field & MORE;
    piece->is_fragment = field & (MORE | OFFSET);
    return true;
}

/* Length of an extension header, 0: it is none. */
static uint32_t extension_length(uint8_t kind, const uint8_t *at)
{
    switch (kind) {
    case NEXT_HOP_BY_HOP:
    case NEXT_ROUTING:
    case NEXT_OPTIONS:
        return (at[1] + 1u) * 8;
    case NEXT_AUTHENTICATION:
        return (at[1] + 2u) * 4;
    case PROTO_FRAGMENT:
        return IP6_FRAGMENT_LEN;
    default:
        return 0;
    }
}

static void read_fragment_header(const uint8_t *at, struct piece *piece)
{
    uint16_t field = get16(at + 2);
    piece->id = get32(at + 4);
    piece->offset = field & 0xfff8;
    piece->more = field & 1;
    piece->is_whole = !piece->offset && !piece->more;
    piece->is_fragment = !piece->is_whole;
}

/* Along the extension headers to the transport header, in a later fragment to its payload.
 * False: the chain is cut, or longer than any sender needs. */
static bool read_ip6(struct packet *p, struct piece *piece)
{
    uint32_t at = p->l3 + IP6_LEN;
    uint8_t kind = p->buf[p->l3 + 6];
    for (int count = 0; count < HEADERS_MAX; count++) {
        uint8_t header[8] = {0};
        uint32_t left = p->l3_end - at;
        memcpy(header, p->buf + at, left < sizeof header ? left : sizeof header);
        uint32_t length = extension_length(kind, header);
        if (!length) {
            p->proto = kind;
            p->l4 = at;
            piece->length = p->l3_end - piece->payload;
            return true;
        }
        if (length > left)
            return false;
        at += length;
        if (kind == PROTO_FRAGMENT && !piece->is_fragment && !piece->is_whole) {
            read_fragment_header(header, piece);
            piece->payload = at;
        } else if (kind == PROTO_FRAGMENT) {
            return false;
        }
        kind = header[0];
        if (piece->offset) {
            p->proto = kind;
            p->l4 = at;
            piece->length = p->l3_end - at;
            return true;
        }
    }
    return false;
}

static struct datagram_key key_of(const struct packet *p, uint32_t nexthop, uint32_t id)
{
    bool v4 = p->l3_type == TYPE_IP4;
    struct datagram_key key = {
        .nexthop = nexthop, .id = id, .vrf = p->vrf,
        .family = v4 ? AF_V4 : AF_V6, .proto = v4 ? p->proto : 0,
    };
    memcpy(key.addresses, p->buf + p->l3 + (v4 ? 12 : 8), v4 ? 8 : 32);
    return key;
}

/* Could a receiver ever use this fragment? */
static bool is_sound(const struct packet *p, const struct piece *piece)
{
    if (piece->length == 0 || piece->offset + piece->length > 65535)
        return false;
    if (piece->more && piece->length % 8)
        return false;
    if (piece->offset)
        return !(p->proto == PROTO_TCP && piece->offset < TCP_HEAD);
    uint32_t least = p->proto == PROTO_TCP ? TCP_HEAD : FRAGMENT_PORTS;
    return p->l3_end - p->l4 >= least;
}

/* --- fragments --- */

static enum fragment_verdict refuse(struct datapath *dp, struct packet *p, int reason)
{
    dp_drop(dp, p, reason);
    return FRAGMENT_TAKEN;
}

static enum fragment_verdict take_head(struct datapath *dp, struct packet *p,
                                       struct datagram *datagram, const struct piece *piece,
                                       uint8_t ports[FRAGMENT_PORTS])
{
    uint16_t end = (uint16_t)piece->length;
    memcpy(ports, p->buf + p->l4, FRAGMENT_PORTS);
    if (datagram->head_end && (datagram->head_end != end || datagram->proto != p->proto
                               || memcmp(datagram->ports, ports, FRAGMENT_PORTS)))
        return refuse(dp, p, DROP_FRAGMENTS);
    datagram->head_end = end;
    datagram->proto = p->proto;
    memcpy(datagram->ports, ports, FRAGMENT_PORTS);
    dp->fragments->waiting -= datagram->waiting.count;
    parked_join(&dp->fragments->ready, &datagram->waiting);
    return FRAGMENT_HEAD;
}

static enum fragment_verdict take_tail(struct datapath *dp, struct packet *p,
                                       struct datagram *datagram, const struct piece *piece,
                                       uint8_t ports[FRAGMENT_PORTS])
{
    if (!datagram->head_end) {
        if (datagram->waiting.count >= WAIT_EACH || dp->fragments->waiting >= WAIT_ALL)
            return refuse(dp, p, DROP_FRAGMENT_QUEUE_FAIL);
        dp->fragments->waiting += park(dp, &datagram->waiting, p, DROP_FRAGMENT_QUEUE_FAIL);
        return FRAGMENT_TAKEN;
    }
    if (piece->offset < datagram->head_end)
        return refuse(dp, p, DROP_FRAGMENTS);
    p->proto = datagram->proto;
    memcpy(ports, datagram->ports, FRAGMENT_PORTS);
    return FRAGMENT_TAIL;
}

enum fragment_verdict fragment_ports(struct datapath *dp, struct packet *p, uint32_t nexthop,
                                     uint8_t ports[FRAGMENT_PORTS])
{
    struct piece piece = {.payload = p->l3 + IP6_LEN};
    if (!(p->l3_type == TYPE_IP6 ? read_ip6(p, &piece) : read_ip4(p, &piece)))
        return refuse(dp, p, DROP_INVALID_PACKET);
    p->is_fragment = piece.is_fragment;
    if (!piece.is_fragment)
        return FRAGMENT_NONE;
    if (!is_sound(p, &piece))
        return refuse(dp, p, DROP_FRAGMENTS);
    struct datagram_key key = key_of(p, nexthop, piece.id);
    struct datagram *datagram = find_datagram(dp, &key);
    if (!datagram)
        datagram = new_datagram(dp, &key);
    return piece.offset ? take_tail(dp, p, datagram, &piece, ports)
                        : take_head(dp, p, datagram, &piece, ports);
}

void fragment_settle(struct datapath *dp)
{
    struct fragments *fragments = dp->fragments;
    struct packet *p;
    while ((p = unpark(dp, &fragments->ready)))
        flow_resume(dp, p);
    while (fragments->count && fragments->datagram[fragments->first].until <= dp->now)
        forget_oldest(dp);
}

void fragment_forget(struct datapath *dp)
{
    park_drop(dp, &dp->fragments->ready, DROP_NO_FRAG_ENTRY);
    while (dp->fragments->count)
        forget_oldest(dp);
}
