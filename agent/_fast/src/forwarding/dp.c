/* The router's life, its small tables, and the counting of drops. */
#define _GNU_SOURCE
#include "flow_path.h"
#include "fragment.h"
#include "mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { POOL_LIMIT = 1024, VNI_ROOM = 64 };

static bool open_events(struct datapath *dp)
{
    dp->epoll = epoll_create1(EPOLL_CLOEXEC);
    dp->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    return dp->epoll >= 0 && dp->wake >= 0
        && epoll_ctl(dp->epoll, EPOLL_CTL_ADD, dp->wake, &event) == 0;
}

static bool add_discard(struct datapath *dp)
{
    struct nexthop *nh = calloc(1, sizeof *nh);
    if (!nh)
        return false;
    nh->type = NH_DISCARD;
    nh->family = AF_V4;
    nh->flags = NHF_VALID;
    nh->oif = -1;
    dp->nexthops[0] = nh;
    return true;
}

struct datapath *dp_new(uint32_t vifs, uint32_t vrfs, uint32_t nexthops, uint32_t labels,
                        struct hash_table flows, struct hash_table bridge)
{
    struct datapath *dp = calloc(1, sizeof *dp);
    if (!dp)
        return NULL;
    dp->epoll = dp->wake = -1;
    pthread_mutex_init(&dp->turn, NULL);
    pthread_mutex_init(&dp->lock, NULL);
    dp->max_vifs = vifs;
    dp->max_vrfs = vrfs;
    dp->max_nexthops = nexthops;
    dp->max_labels = labels;
    dp->vifs = calloc(vifs, sizeof *dp->vifs);
    dp->vrfs = calloc(vrfs, sizeof *dp->vrfs);
    dp->nexthops = calloc(nexthops, sizeof *dp->nexthops);
    dp->labels = calloc(labels, sizeof *dp->labels);
    dp->vnis = calloc(VNI_ROOM, sizeof *dp->vnis);
    dp->vni_room = VNI_ROOM;
    dp->flows = flows;
    dp->bridge = bridge;
    dp->pool.limit = POOL_LIMIT;
    dp->caught_end = &dp->caught;
    dp->fragments = fragment_new();
    dp->mirrors = mirrors_new();
    bool tables = dp->vifs && dp->vrfs && dp->nexthops && dp->labels && dp->vnis;
    bool waits = dp->fragments && dp->mirrors && hold_init(dp);
    if (!tables || !waits || !add_discard(dp) || !open_events(dp)) {
        dp_free(dp);
        return NULL;
    }
    return dp;
}

static void dp_wake(struct datapath *dp)
{
    uint64_t one = 1;
    /* A full counter wakes the loop as well. */
    if (write(dp->wake, &one, sizeof one) < 0)
        return;
}

void dp_lock(struct datapath *dp)
{
    pthread_mutex_lock(&dp->turn);
    pthread_mutex_lock(&dp->lock);
    pthread_mutex_unlock(&dp->turn);
    device_read_clock(dp);
}

/* The end of a turn: what it left to do, and a wake for the loop if some of that takes time. */
static void settle(struct datapath *dp)
{
    fragment_settle(dp);
    device_flush(dp);
    trap_settle(dp);
    flow_reclaim(dp);
    if (!dp->idle || (!dp->graves.count && !fragment_pending(dp)))
        return;
    dp->idle = false;
    dp_wake(dp);
}

void dp_unlock(struct datapath *dp)
{
    settle(dp);
    pthread_mutex_unlock(&dp->lock);
}

static void free_captured(struct datapath *dp)
{
    while (dp->caught) {
        struct captured *next = dp->caught->next;
        free(dp->caught);
        dp->caught = next;
    }
    dp->caught_end = &dp->caught;
}

/* Everything that messages made, without the limits and the buffers. */
static void forget(struct datapath *dp)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++)
        if (dp->vifs[i])
            vif_delete(dp, i);
    for (uint32_t i = 1; i < dp->max_nexthops; i++) {
        nexthop_free(dp->nexthops[i]);
        dp->nexthops[i] = NULL;
    }
    for (uint32_t i = 0; i < dp->max_vrfs; i++) {
        if (dp->vrfs[i]) {
            route_table_clear(&dp->vrfs[i]->inet);
            route_table_clear(&dp->vrfs[i]->inet6);
        }
        free(dp->vrfs[i]);
        dp->vrfs[i] = NULL;
    }
    memset(dp->labels, 0, dp->max_labels * sizeof *dp->labels);
    memset(dp->vnis, 0, dp->vni_room * sizeof *dp->vnis);
    dp->vni_used = 0;
    route_arena_clear(&dp->arena);
    memset(dp->drops, 0, sizeof dp->drops);
    dp->drop_log.cleared = dp->drop_log.written;
    memset(&dp->flow_stats, 0, sizeof dp->flow_stats);
    free_captured(dp);
}

void dp_reset(struct datapath *dp)
{
    flow_reset(dp);
    fragment_forget(dp);
    mirror_forget(dp);
    forget(dp);
    hash_clear(&dp->bridge);
}

void dp_free(struct datapath *dp)
{
    hold_free(dp);
    dp->flows.total = 0;            /* the tables' memory may be gone already */
    if (dp->fragments)
        fragment_forget(dp);
    if (dp->mirrors)
        mirror_forget(dp);
    if (dp->vifs && dp->vrfs && dp->nexthops && dp->labels && dp->vnis)
        forget(dp);
    if (dp->nexthops)
        nexthop_free(dp->nexthops[0]);
    free(dp->vifs);
    free(dp->vrfs);
    free(dp->nexthops);
    free(dp->labels);
    free(dp->vnis);
    free(dp->fragments);
    free(dp->mirrors);
    free(dp->flows.free);
    free(dp->bridge.free);
    packet_pool_drain(&dp->pool);
    if (dp->epoll >= 0)
        close(dp->epoll);
    if (dp->wake >= 0)
        close(dp->wake);
    pthread_mutex_destroy(&dp->turn);
    pthread_mutex_destroy(&dp->lock);
    free(dp);
}

struct vrf *dp_vrf(struct datapath *dp, uint32_t vrf)
{
    if (vrf >= dp->max_vrfs)
        return NULL;
    if (!dp->vrfs[vrf])
        dp->vrfs[vrf] = calloc(1, sizeof *dp->vrfs[vrf]);
    return dp->vrfs[vrf];
}

void dp_count_drop(struct datapath *dp, struct vif *in, int reason)
{
    dp->drops[reason]++;
    if (in)
        in->drops[reason]++;
}

void dp_drop(struct datapath *dp, struct packet *p, int reason)
{
    dp_count_drop(dp, p->in, reason);
    drop_log_add(&dp->drop_log, p, p->in ? p->in->idx : UINT32_MAX, reason, dp->now);
    packet_give(&dp->pool, p);
}

void dp_count_vrf(struct datapath *dp, uint32_t vrf, int counter)
{
    struct vrf *table = dp_vrf(dp, vrf);
    if (!table)
        return;
    table->counted = true;
    table->counters[counter]++;
}

/* --- VNIs: open addressing with linear probing, never more than half full --- */

static struct vni_slot *vni_slot(struct vni_slot *slots, uint32_t room, uint32_t vni)
{
    uint32_t at = vni * 0x9e3779b1u & (room - 1);
    while (slots[at].nh && slots[at].vni != vni)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static bool vni_resize(struct datapath *dp, uint32_t room)
{
    struct vni_slot *slots = calloc(room, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < dp->vni_room; i++)
        if (dp->vnis[i].nh)
            *vni_slot(slots, room, dp->vnis[i].vni) = dp->vnis[i];
    free(dp->vnis);
    dp->vnis = slots;
    dp->vni_room = room;
    return true;
}

int vni_set(struct datapath *dp, uint32_t vni, uint32_t nh)
{
    if (vni > 0xffffff || !dp_nexthop(dp, nh))
        return -EINVAL;
    if (dp->vni_used * 2 >= dp->vni_room && !vni_resize(dp, dp->vni_room * 2))
        return -ENOMEM;
    struct vni_slot *slot = vni_slot(dp->vnis, dp->vni_room, vni);
    dp->vni_used += slot->nh == 0;
    *slot = (struct vni_slot){vni, nh + 1};
    return 0;
}

void vni_delete(struct datapath *dp, uint32_t vni)
{
    struct vni_slot *slot = vni_slot(dp->vnis, dp->vni_room, vni);
    if (!slot->nh)
        return;
    slot->nh = 0;
    dp->vni_used--;
    /* The rest of the run may have to move up. */
    uint32_t at = (uint32_t)(slot - dp->vnis);
    for (at = (at + 1) & (dp->vni_room - 1); dp->vnis[at].nh; at = (at + 1) & (dp->vni_room - 1)) {
        struct vni_slot moved = dp->vnis[at];
        dp->vnis[at].nh = 0;
        *vni_slot(dp->vnis, dp->vni_room, moved.vni) = moved;
    }
}

int64_t vni_get(struct datapath *dp, uint32_t vni)
{
    struct vni_slot *slot = vni_slot(dp->vnis, dp->vni_room, vni);
    return slot->nh ? (int64_t)slot->nh - 1 : -1;
}

/* --- the loop's switch --- */

bool dp_run_begin(struct datapath *dp) { return !atomic_exchange(&dp->running, true); }

void dp_run_end(struct datapath *dp) { atomic_store(&dp->running, false); }

void dp_stop(struct datapath *dp)
{
    atomic_store(&dp->stopping, true);
    dp_wake(dp);
}
