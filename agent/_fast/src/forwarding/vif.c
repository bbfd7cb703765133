/* Interfaces: what messages set, and sending through types that are not devices. */
#define _GNU_SOURCE
#include "mirror.h"
#include "vif_extras.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { TAGS = 4096 };

struct vif *vif_cross(struct datapath *dp, struct vif *vif)
{
    return vif->cross >= 0 ? dp_vif(dp, (uint32_t)vif->cross) : NULL;
}

/* Without an agent, vhost and fabric are one wire. */
static void set_cross_connect(struct datapath *dp)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++) {
        struct vif *vif = dp->vifs[i];
        if (!vif || (vif->type != VIF_HOST && vif->type != VIF_PHYSICAL))
            continue;
        if (dp->agent)
            vif->flags &= ~(uint32_t)VIFF_XCONNECT;
        else
            vif->flags |= VIFF_XCONNECT;
    }
}

static int32_t lowest_physical(struct datapath *dp)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++)
        if (dp->vifs[i] && dp->vifs[i]->type == VIF_PHYSICAL)
            return (int32_t)i;
    return -1;
}

static int join_physical(struct datapath *dp, struct vif *host, int32_t wanted)
{
    int32_t idx = wanted >= 0 ? wanted : lowest_physical(dp);
    struct vif *physical = idx >= 0 ? dp_vif(dp, (uint32_t)idx) : NULL;
    if (!physical || physical->type != VIF_PHYSICAL)
        return -ENODEV;
    host->cross = idx;
    physical->cross = (int32_t)host->idx;
    return 0;
}

/* A physical vif that was deleted and comes back finds its host's vif again. */
static void join_waiting_hosts(struct datapath *dp, const struct vif *physical)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++)
        if (dp->vifs[i] && dp->vifs[i]->type == VIF_HOST && dp->vifs[i]->cross < 0)
            join_physical(dp, dp->vifs[i], (int32_t)physical->idx);
}

static int join_parent(struct datapath *dp, struct vif *sub)
{
    struct vif *parent = sub->parent >= 0 ? dp_vif(dp, (uint32_t)sub->parent) : NULL;
    if (!parent || parent->type == VIF_VLAN_SUB || parent->type == VIF_AGENT
        || sub->vlan_id >= TAGS || sub->ovlan_id >= TAGS)
        return -EINVAL;
    if (!parent->subs && !(parent->subs = calloc(TAGS, sizeof *parent->subs)))
        return -ENOMEM;
    if (parent->subs[sub->vlan_id])
        return -EEXIST;
    parent->subs[sub->vlan_id] = sub;
    return 0;
}

static void take_changes(struct vif *vif, const struct vif_config *config)
{
    uint32_t own = vif->flags & VIFF_XCONNECT;
    vif->flags = (config->flags & ~(uint32_t)VIFF_XCONNECT) | own;
    if (!(vif->flags & (VIFF_L2 | VIFF_L3)))
        vif->flags |= VIFF_L2 | VIFF_L3;
    if (config->vrf >= 0)
        vif->vrf = (uint16_t)config->vrf;
    if (config->mcast_vrf >= 0)
        vif->mcast_vrf = (uint16_t)config->mcast_vrf;
    if (config->mtu)
        vif->mtu = config->mtu;
    vif->nh = config->nh;
    vif->ip = config->ip;
}

/* A sub-interface may move to other tags. */
static int change_tags(struct datapath *dp, struct vif *vif, const struct vif_config *config)
{
    if (vif->type != VIF_VLAN_SUB) {
        vif->vlan_id = config->vlan_id;
        vif->ovlan_id = config->ovlan_id;
        return 0;
    }
    struct vif *parent = dp_vif(dp, (uint32_t)vif->parent);
    if (config->vlan_id >= TAGS || config->ovlan_id >= TAGS)
        return -EINVAL;
    if (parent && parent->subs && config->vlan_id != vif->vlan_id) {
        if (parent->subs[config->vlan_id])
            return -EEXIST;
        parent->subs[vif->vlan_id] = NULL;
        parent->subs[config->vlan_id] = vif;
    }
    vif->vlan_id = config->vlan_id;
    vif->ovlan_id = config->ovlan_id;
    return 0;
}

int vif_set(struct datapath *dp, const struct vif_config *config)
{
    if (config->idx >= dp->max_vifs || config->type >= VIF_TYPES)
        return -EINVAL;
    struct vif *vif = dp->vifs[config->idx];
    if (vif) {
        int code = change_tags(dp, vif, config);
        if (code == 0)
            take_changes(vif, config);
        return code;
    }
    if (!(vif = calloc(1, sizeof *vif)))
        return -ENOMEM;
    vif->idx = config->idx;
    vif->type = config->type;
    vif->fd = vif->cross = -1;
    vif->parent = config->parent;
    vif->os_idx = config->os_idx;
    vif->vrf = vif->mcast_vrf = VRF_NONE;
    vif->mtu = MTU_DEFAULT;
    vif->vlan_id = config->vlan_id;
    vif->ovlan_id = config->ovlan_id;
    memcpy(vif->mac, config->mac, 6);
    memcpy(vif->name, config->name, sizeof vif->name);
    take_changes(vif, config);
    int code = config->type == VIF_HOST ? join_physical(dp, vif, config->cross)
             : config->type == VIF_VLAN_SUB ? join_parent(dp, vif) : 0;
    if (code) {
        free(vif);
        return code;
    }
    dp->vifs[config->idx] = vif;
    if (config->type == VIF_AGENT)
        dp->agent = vif;
    if (config->type == VIF_PHYSICAL)
        join_waiting_hosts(dp, vif);
    set_cross_connect(dp);
    return 0;
}

void vif_detach(struct datapath *dp, struct vif *vif)
{
    device_forget_outbox(dp, vif);
    if (vif->fd >= 0)
        epoll_ctl(dp->epoll, EPOLL_CTL_DEL, vif->fd, NULL);
    vif->fd = -1;
    vif->framing = FRAMING_NONE;
}

static void leave_others(struct datapath *dp, struct vif *vif)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++) {
        struct vif *other = dp->vifs[i];
        if (other && other->cross == (int32_t)vif->idx)
            other->cross = -1;
        if (other && other->type == VIF_VLAN_SUB && other->parent == (int32_t)vif->idx)
            other->parent = -1;
    }
    struct vif *parent = vif->type == VIF_VLAN_SUB ? dp_vif(dp, (uint32_t)vif->parent) : NULL;
    if (parent && parent->subs && parent->subs[vif->vlan_id] == vif)
        parent->subs[vif->vlan_id] = NULL;
}

static struct vif *other_agent(struct datapath *dp)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++)
        if (dp->vifs[i] && dp->vifs[i]->type == VIF_AGENT)
            return dp->vifs[i];
    return NULL;
}

int vif_delete(struct datapath *dp, uint32_t idx)
{
    struct vif *vif = dp_vif(dp, idx);
    if (!vif)
        return -ENODEV;
    vif_detach(dp, vif);
    leave_others(dp, vif);
    dp->vifs[idx] = NULL;
    if (dp->agent == vif) {
        dp->agent = other_agent(dp);
        set_cross_connect(dp);
    }
    free(vif->subs);
    free(vif->vlans);
    free(vif->extras);
    free(vif);
    return 0;
}

static bool is_packet_socket(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_PACKET;
}

int vif_attach(struct datapath *dp, uint32_t idx, int fd, int framing, const char *peer)
{
    struct vif *vif = dp_vif(dp, idx);
    if (!vif)
        return -ENODEV;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    bool packet_socket = is_packet_socket(fd);
    int on = 1;
    if (packet_socket
        && (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0
            || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0))
        return -errno;
    vif_detach(dp, vif);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = idx};
    if (epoll_ctl(dp->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    vif->fd = fd;
    vif->framing = framing;
    vif->packet_socket = packet_socket;
    vif->next_connect = 0;
    snprintf(vif->peer, sizeof vif->peer, "%s", peer);
    if (framing == FRAMING_PKT0 && vif->peer[0])
        device_connect(vif);
    return 0;
}

int vif_vrf_assign(struct datapath *dp, uint32_t idx, uint32_t vlan, int32_t vrf, uint32_t nh)
{
    struct vif *vif = dp_vif(dp, idx);
    if (!vif || vlan >= SERVICE_VLANS)
        return -EINVAL;
    if (!vif->vlans) {
        if (!(vif->vlans = calloc(SERVICE_VLANS, sizeof *vif->vlans)))
            return -ENOMEM;
        for (int i = 0; i < SERVICE_VLANS; i++)
            vif->vlans[i].vrf = VRF_NONE;
    }
    vif->vlans[vlan].vrf = vrf >= 0 ? (uint16_t)vrf : VRF_NONE;
    vif->vlans[vlan].nh = nh;
    return 0;
}

/* Put a tag between the MACs and the type. */
static bool push_tag(struct packet *p, uint16_t tag)
{
    uint8_t *eth = packet_push(p, VLAN_LEN);
    if (!eth)
        return false;
    memmove(eth, eth + VLAN_LEN, 12);
    put16(eth + 12, TYPE_VLAN);
    put16(eth + 14, tag);
    return true;
}

void vif_send(struct datapath *dp, struct vif *vif, struct packet *p)
{
    if (p->len < ETH_LEN) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    mirror_vif(dp, p, vif, false);
    if (vif->type == VIF_VLAN_SUB) {
        struct vif *parent = vif->parent >= 0 ? dp_vif(dp, (uint32_t)vif->parent) : NULL;
        if (!parent || !push_tag(p, vif->ovlan_id)) {
            dp_drop(dp, p, parent ? DROP_PUSH : DROP_INVALID_IF);
            return;
        }
        vif->counters[VC_OPACKETS]++;
        vif->counters[VC_OBYTES] += p->len;
        p->is_counted = parent->type != VIF_PHYSICAL;
        vif = parent;
    }
    device_send(dp, vif, p);
}

struct vif_extras *vif_extras(struct datapath *dp, uint32_t idx)
{
    struct vif *vif = dp_vif(dp, idx);
    if (vif && !vif->extras && (vif->extras = calloc(1, sizeof *vif->extras)))
        vif->extras->mirror = MIRROR_NONE;
    return vif ? vif->extras : NULL;
}
