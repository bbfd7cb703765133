/* Copies of packets for analyzers: where from, how cut, what in front, where to. */
#define _GNU_SOURCE
#include "mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "vif_extras.h"

enum {
    META_KINDS = 4096, META_SLOTS = 8192, CAPTURE_LEN = 16,
    /* IP, UDP, VXLAN and the frame of a routed VXLAN packet; control word and label fit too. */
    TUNNEL_ROOM = IP4_LEN + UDP_LEN + VXLAN_LEN + ETH_LEN,
    NHF_SIP_COPY = 0x20000,
};

struct meta { uint32_t refs, length, next; uint8_t bytes[META_MAX]; };

/* Slots hold the head of a chain of metadata numbers; number 0 is none. */
struct mirrors {
    struct mirror mirror[MIRRORS];
    struct meta *meta[META_KINDS + 1];
    uint32_t slot[META_SLOTS];
    uint32_t unused[META_KINDS], unused_count;
};

static const uint8_t NO_META[2] = {0xff, 0};

struct mirrors *mirrors_new(void)
{
    struct mirrors *mirrors = calloc(1, sizeof *mirrors);
    for (uint32_t i = 0; mirrors && i < META_KINDS; i++)
        mirrors->unused[i] = META_KINDS - i;
    if (mirrors)
        mirrors->unused_count = META_KINDS;
    return mirrors;
}

void mirror_forget(struct datapath *dp)
{
    struct mirrors *mirrors = dp->mirrors;
    memset(mirrors->mirror, 0, sizeof mirrors->mirror);
    memset(mirrors->slot, 0, sizeof mirrors->slot);
    mirrors->unused_count = 0;
    for (uint32_t number = META_KINDS; number > 0; number--) {
        free(mirrors->meta[number]);
        mirrors->meta[number] = NULL;
        mirrors->unused[mirrors->unused_count++] = number;
    }
}

int mirror_set(struct datapath *dp, uint32_t index, uint32_t nh, uint32_t flags, uint32_t vni)
{
    if (index >= MIRRORS || (!(flags & MIRROR_HW_ASSISTED) && !dp_nexthop(dp, nh)))
        return -EINVAL;
    dp->mirrors->mirror[index] = (struct mirror){true, nh, flags, vni};
    return 0;
}

int mirror_delete(struct datapath *dp, uint32_t index)
{
    if (index >= MIRRORS || !dp->mirrors->mirror[index].used)
        return -EINVAL;
    dp->mirrors->mirror[index].used = false;
    return 0;
}

/* --- metadata of flows --- */

static uint32_t *find_meta(struct mirrors *mirrors, const uint8_t *bytes, uint32_t length)
{
    uint32_t *at = &mirrors->slot[shm_hash(bytes, length) % META_SLOTS];
    while (*at) {
        struct meta *meta = mirrors->meta[*at];
        if (meta->length == length && memcmp(meta->bytes, bytes, length) == 0)
            break;
        at = &meta->next;
    }
    return at;
}

static uint32_t keep_meta(struct mirrors *mirrors, const uint8_t *bytes, uint32_t length)
{
    uint32_t *at = find_meta(mirrors, bytes, length);
    if (!*at) {
        struct meta *meta = mirrors->unused_count ? malloc(sizeof *meta) : NULL;
        if (!meta)
            return 0;
        meta->refs = meta->next = 0;
        meta->length = length;
        memcpy(meta->bytes, bytes, length);
        *at = mirrors->unused[--mirrors->unused_count];
        mirrors->meta[*at] = meta;
    }
    mirrors->meta[*at]->refs++;
    return *at;
}

static struct meta *meta_of(const struct datapath *dp, const uint8_t *entry)
{
    uint64_t number = shm_load64(entry + FE_MIRROR_META);
    return number && number <= META_KINDS ? dp->mirrors->meta[number] : NULL;
}

void mirror_meta_drop(struct datapath *dp, uint8_t *entry)
{
    struct mirrors *mirrors = dp->mirrors;
    struct meta *meta = meta_of(dp, entry);
    store64(entry + FE_MIRROR_META, 0);
    if (!meta || --meta->refs)
        return;
    uint32_t *at = find_meta(mirrors, meta->bytes, meta->length);
    mirrors->unused[mirrors->unused_count++] = *at;
    mirrors->meta[*at] = NULL;
    *at = meta->next;
    free(meta);
}

void mirror_meta_set(struct datapath *dp, uint8_t *entry, const uint8_t *bytes, uint32_t length)
{
    uint32_t number = 0;
    if (length && length <= META_MAX)
        number = keep_meta(dp->mirrors, bytes, length);
    mirror_meta_drop(dp, entry);
    store64(entry + FE_MIRROR_META, number);
}

/* --- copies --- */

struct copying {
    const struct mirror *mirror;
    const uint8_t *meta;
    uint32_t meta_length;
};

static bool push_capture(struct packet *p, const struct copying *copying, uint32_t original)
{
    uint8_t *at = packet_push(p, CAPTURE_LEN + copying->meta_length);
    struct timespec now;
    if (!at)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    put32(at, (uint32_t)now.tv_sec);
    put32(at + 4, (uint32_t)(now.tv_nsec / 1000));
    put32(at + 8, p->len - CAPTURE_LEN);
    put32(at + 12, original + copying->meta_length);
    memcpy(at + CAPTURE_LEN, copying->meta, copying->meta_length);
    return true;
}

/* What the underlay takes in one piece. */
static void cut(struct datapath *dp, struct packet *p, const struct nexthop *nh, uint32_t added)
{
    struct vif *out = nh->type == NH_TUNNEL && nh->oif >= 0 ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
    if (!out)
        return;
    uint32_t mtu = vif_ip_mtu(out), taken = TUNNEL_ROOM + added;
    uint32_t room = mtu > taken ? mtu - taken : 0;
    if (p->len > room)
        p->len = room;
}

static void enter(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    bool copies_source = nh->type == NH_TUNNEL && (nh->flags & NHF_SIP_COPY)
                      && (nh->flags & NHF_UDP) && p->l3_type == TYPE_IP4
                      && has_bytes(p, p->l3, IP4_LEN);
    struct nexthop renamed;
    if (!copies_source || !(nh->flags & NHF_VALID)) {
        enter_nexthop(dp, p, nh);
        return;
    }
    renamed = *nh;
    memcpy(&renamed.tun_sip, p->buf + p->l3 + 12, 4);
    tunnel_send(dp, p, &renamed);
}

/* One frame of the size that went over a wire. */
static void send_copy(struct datapath *dp, struct packet *p, void *context)
{
    const struct copying *copying = context;
    const struct mirror *mirror = copying->mirror;
    struct nexthop *nh = dp_nexthop(dp, mirror->nh);
    bool dynamic = mirror->flags & MIRROR_DYNAMIC;
    if (!nh) {
        dp_drop(dp, p, DROP_INVALID_NH);
        return;
    }
    checksum_complete(p);
    memset(&p->vnet, 0, sizeof p->vnet);
    uint32_t original = p->len;
    cut(dp, p, nh, dynamic ? CAPTURE_LEN + copying->meta_length : 0);
    if (dynamic && !push_capture(p, copying, original)) {
        dp_drop(dp, p, DROP_PUSH);
        return;
    }
    p->eth = p->frame = p->off;     /* the whole is the frame that a tunnel carries */
    p->l4 = 0;
    p->is_l2 = 1;
    p->is_mcast = p->is_diag = p->control_word = 0;
    p->ttl = 64;
    p->outer_src = 0;
    p->source = FROM_LOCAL;
    p->label = mirror->vni & 0xffffff;
    enter(dp, p, nh);
}

static void copy_frame(struct datapath *dp, struct packet *p, uint32_t start, uint8_t id,
                       const uint8_t *meta, uint32_t meta_length)
{
    const struct mirror *mirror = id < MIRRORS ? &dp->mirrors->mirror[id] : NULL;
    if (!mirror || !mirror->used || (mirror->flags & MIRROR_HW_ASSISTED) || p->is_mirror)
        return;
    struct packet *copy = packet_clone(&dp->pool, p);
    if (!copy) {
        dp_count_drop(dp, p->in, DROP_CLONE_FAIL);
        return;
    }
    struct copying copying = {mirror, meta_length ? meta : NO_META,
                              meta_length ? meta_length : sizeof NO_META};
    copy->is_mirror = copy->policy_done = 1;
    copy->flow = 0;
    packet_move_to(copy, start);
    packet_seal(copy);
    if (segmentable(copy))
        segment(dp, copy, send_copy, &copying);
    else
        send_copy(dp, copy, &copying);
}

void mirror_vif(struct datapath *dp, struct packet *p, const struct vif *vif, bool received)
{
    const struct vif_extras *extras = vif->extras;
    if (!extras || !(vif->flags & (received ? VIFF_MIRROR_RX : VIFF_MIRROR_TX)))
        return;
    copy_frame(dp, p, p->off, extras->mirror, received ? extras->in_meta : extras->out_meta,
               received ? extras->in_length : extras->out_length);
}

void mirror_flow(struct datapath *dp, struct packet *p, const uint8_t *entry)
{
    const struct meta *meta = meta_of(dp, entry);
    const uint8_t *bytes = meta ? meta->bytes : NULL;
    uint32_t length = meta ? meta->length : 0, start = p->eth ? p->eth : p->l3;
    uint8_t first = entry[FE_MIRROR], second = entry[FE_SEC_MIRROR];
    if (!(shm_load16(entry + FE_FLAGS) & FL_MIRROR))
        return;
    copy_frame(dp, p, start, first, bytes, length);
    if (second != first)
        copy_frame(dp, p, start, second, bytes, length);
}
