/* Descriptors: one frame in, one frame out, and the loop that waits for them. */
#define _GNU_SOURCE
#include "dp.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_PAUSE_MS = 100, EVENTS = 64 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- sending --- */

bool device_connect(struct vif *vif)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    uint64_t now = now_ns();
    if (!vif->peer[0] || now < vif->next_connect)
        return false;
    vif->next_connect = now + CONNECT_PAUSE_MS * 1000000u;
    memcpy(peer.sun_path, vif->peer, sizeof peer.sun_path);
    if (connect(vif->fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        return false;
    vif->counters[VC_RECONNECTS]++;
    return true;
}

int device_greet(struct datapath *dp, uint32_t idx)
{
    struct vif *vif = dp_vif(dp, idx);
    if (!vif || vif->fd < 0 || vif->framing != FRAMING_PKT0)
        return -ENODEV;
    vif->next_connect = 0;
    return device_connect(vif) ? 0 : -ENOTCONN;
}

static bool peer_is_gone(int error)
{
    return error == ECONNREFUSED || error == ECONNRESET || error == ENOTCONN
        || error == EDESTADDRREQ || error == EPIPE;
}

static bool write_pkt0(struct vif *vif, struct packet *p)
{
    if (send(vif->fd, data_of(p), p->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    return peer_is_gone(errno) && device_connect(vif)
        && send(vif->fd, data_of(p), p->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool write_frame(struct vif *vif, struct packet *p)
{
    uint8_t header[VNET_LEN];
    struct iovec part[2] = {{header, sizeof header}, {data_of(p), p->len}};
    if (vif->framing == FRAMING_PKT0)
        return write_pkt0(vif, p);
    if (vif->framing == FRAMING_PLAIN)
        return write(vif->fd, data_of(p), p->len) == (ssize_t)p->len;
    packet_store_vnet(p, header);
    return writev(vif->fd, part, 2) == (ssize_t)(p->len + VNET_LEN);
}

static bool catch_frame(struct datapath *dp, struct vif *vif, struct packet *p)
{
    struct captured *caught = dp->capture ? malloc(sizeof *caught + p->len) : NULL;
    if (!caught)
        return false;
    caught->next = NULL;
    caught->vif = vif->idx;
    caught->len = p->len;
    packet_store_vnet(p, caught->vnet);
    memcpy(caught->data, data_of(p), p->len);
    *dp->caught_end = caught;
    dp->caught_end = &caught->next;
    return true;
}

static void write_counted(struct datapath *dp, struct vif *vif, struct packet *p)
{
    bool sent = vif->fd >= 0 ? write_frame(vif, p) : catch_frame(dp, vif, p);
    if (sent) {
        vif->counters[VC_OPACKETS] += !p->is_counted;
        vif->counters[VC_OBYTES] += p->is_counted ? 0 : p->len;
        packet_give(&dp->pool, p);
        return;
    }
    vif->counters[VC_OERRORS]++;
    vif->counters[VC_DEV_OERRORS] += vif->fd >= 0;
    dp_drop(dp, p, DROP_INTERFACE_TX_DISCARD);
}

static void write_piece(struct datapath *dp, struct packet *p, void *context)
{
    write_counted(dp, context, p);
}

void device_send(struct datapath *dp, struct vif *vif, struct packet *p)
{
    bool offloads = vif->framing == FRAMING_VNET || vif->fd < 0;
    if (!offloads && segmentable(p)) {
        segment(dp, p, write_piece, vif);
        return;
    }
    if (!offloads)
        checksum_complete(p);
    write_counted(dp, vif, p);
}

/* --- receiving --- */

/* The tag that the kernel took out of the frame goes back in. */
static void restore_tag(struct packet *p, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        struct tpacket_auxdata aux;
        memcpy(&aux, CMSG_DATA(c), sizeof aux);
        if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || p->len < ETH_LEN)
            continue;
        bool known = aux.tp_status & TP_STATUS_VLAN_TPID_VALID;
        uint8_t *eth = packet_push(p, VLAN_LEN);
        memmove(eth, eth + VLAN_LEN, 12);
        put16(eth + 12, known ? aux.tp_vlan_tpid : TYPE_VLAN);
        put16(eth + 14, aux.tp_vlan_tci);
        p->frame = p->eth = p->off;
    }
}

static ssize_t read_socket(struct vif *vif, struct packet *p, uint8_t *header)
{
    union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))]; } control;
    bool vnet = vif->framing == FRAMING_VNET;
    struct iovec part[2] = {{header, VNET_LEN}, {p->buf + HEADROOM, FRAME_MAX}};
    struct msghdr message = {
        .msg_iov = vnet ? part : part + 1, .msg_iovlen = vnet ? 2 : 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    ssize_t got = recvmsg(vif->fd, &message, MSG_DONTWAIT);
    if (got < 0)
        return got;
    if (message.msg_flags & MSG_TRUNC)
        return 0;
    p->len = (uint32_t)got - (vnet && got >= VNET_LEN ? VNET_LEN : 0);
    if (vnet && got >= VNET_LEN)
        packet_load_vnet(p, header);
    restore_tag(p, &message);
    return got;
}

static ssize_t read_plain(struct vif *vif, struct packet *p, uint8_t *header)
{
    bool vnet = vif->framing == FRAMING_VNET;
    struct iovec part[2] = {{header, VNET_LEN}, {p->buf + HEADROOM, FRAME_MAX}};
    ssize_t got = readv(vif->fd, vnet ? part : part + 1, vnet ? 2 : 1);
    if (got < 0)
        return got;
    p->len = (uint32_t)got - (vnet && got >= VNET_LEN ? VNET_LEN : 0);
    if (vnet && got >= VNET_LEN)
        packet_load_vnet(p, header);
    return got;
}

/* A packet socket whose interface was removed is bound to none; reading it may only
 * have said that the interface went down. */
bool device_is_attached(struct datapath *dp, struct vif *vif)
{
    struct sockaddr_ll address = {0};
    socklen_t size = sizeof address;
    if (vif->fd >= 0 && vif->packet_socket
        && getsockname(vif->fd, (struct sockaddr *)&address, &size) == 0
        && address.sll_ifindex <= 0)
        vif_detach(dp, vif);
    return vif->fd >= 0;
}

static bool is_end(int error)
{
    return error == EBADFD || error == EBADF || error == ENODEV || error == ENXIO;
}

/* 1: a frame, 0: nothing to read now. */
int device_read(struct datapath *dp, struct vif *vif, struct packet *p)
{
    uint8_t header[VNET_LEN];
    bool socket_like = vif->packet_socket || vif->framing == FRAMING_PKT0;
    ssize_t got = socket_like ? read_socket(vif, p, header) : read_plain(vif, p, header);
    if (got > 0)
        return 1;
    if (got == 0) {
        vif->counters[VC_DEV_IERRORS]++;
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    vif->counters[VC_DEV_IERRORS]++;
    if (is_end(errno))
        vif_detach(dp, vif);
    else
        device_is_attached(dp, vif);
    return 0;
}

/* --- the loop --- */

/* An error event that reading does not clear would come back for ever. */
static void clear_error(struct datapath *dp, struct vif *vif)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (vif->fd >= 0 && getsockopt(vif->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        vif_detach(dp, vif);
}

static void serve(struct datapath *dp, uint32_t idx, uint32_t events)
{
    struct vif *vif = dp_vif(dp, idx);
    for (int i = 0; vif && vif->fd >= 0 && i < BATCH; i++) {
        struct packet *p = packet_take(&dp->pool);
        if (!p)
            return;
        if (!device_read(dp, vif, p)) {
            packet_give(&dp->pool, p);
            if (i == 0 && (events & (EPOLLERR | EPOLLHUP)))
                clear_error(dp, vif);
            return;
        }
        receive(dp, vif, p);
        /* Only control calls delete vifs, and they wait for the lock. */
    }
}

void loop_run(struct datapath *dp, int *error)
{
    struct epoll_event events[EVENTS];
    uint64_t count;
    *error = 0;
    while (!atomic_exchange(&dp->stopping, false)) {
        int ready = epoll_wait(dp->epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) {
            *error = errno;
            return;
        }
        for (int i = 0; i < ready; i++) {
            if (events[i].data.u32 == UINT32_MAX) {
                while (read(dp->wake, &count, sizeof count) > 0)
                    continue;
                continue;
            }
            dp_lock(dp);
            serve(dp, events[i].data.u32, events[i].events);
            dp_unlock(dp);
        }
    }
}
