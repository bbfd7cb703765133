/* Descriptors: frames in, frames out, and the loop that waits for them. */
#define _GNU_SOURCE
#include "dp.h"
#include "fragment.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_PAUSE_MS = 100, EVENTS = 64, READS = 32, TICK_MS = 20 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void device_read_clock(struct datapath *dp)
{
    if (!dp->manual_clock)
        dp->now = now_ns();
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

/* Sends what it can of `count` datagrams in order; how many, or -1 with errno. */
static int send_datagrams(struct vif *vif, struct iovec *parts, uint32_t count)
{
    struct mmsghdr messages[OUTBOX];
    memset(messages, 0, count * sizeof *messages);
    for (uint32_t i = 0; i < count; i++) {
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(vif->fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || !peer_is_gone(errno) || !device_connect(vif))
        return sent;
    return sendmmsg(vif->fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_full(int error) { return error == EAGAIN || error == ENOBUFS || error == EINTR; }

static void count_sent(struct vif *vif, uint32_t length)
{
    vif->counters[VC_OPACKETS]++;
    vif->counters[VC_OBYTES] += length;
}

/* Nobody will see this frame: whoever waits for an answer to it must not. */
static void lose(struct datapath *dp, struct vif *vif, const uint8_t *data, uint32_t length)
{
    vif->counters[VC_OERRORS]++;
    vif->counters[VC_DEV_OERRORS]++;
    trap_lost(dp, data, length);
}

/* Tell the loop whether to wait for room at the agent's end. */
static void watch_room(struct datapath *dp, struct vif *vif)
{
    bool wanted = dp->outbox.backlog.count > 0;
    if (vif->fd < 0 || wanted == dp->outbox.watched)
        return;
    struct epoll_event event = {
        .events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = vif->idx,
    };
    if (epoll_ctl(dp->epoll, EPOLL_CTL_MOD, vif->fd, &event) == 0)
        dp->outbox.watched = wanted;
}

static void drop_backlog(struct datapath *dp, struct vif *vif)
{
    struct parked_list *backlog = &dp->outbox.backlog;
    while (backlog->first) {
        uint32_t length;
        const uint8_t *data = parked_data(backlog->first, &length);
        lose(dp, vif, data, length);
        parked_drop_oldest(dp, backlog, DROP_INTERFACE_TX_DISCARD);
    }
}

/* The frames that waited for room, oldest first; true when none is left. */
static bool send_backlog(struct datapath *dp, struct vif *vif)
{
    struct parked_list *backlog = &dp->outbox.backlog;
    while (backlog->first) {
        struct iovec parts[OUTBOX];
        uint32_t count = 0, length;
        for (struct parked *at = backlog->first; at && count < OUTBOX; at = parked_next(at)) {
            parts[count].iov_base = parked_data(at, &length);
            parts[count++].iov_len = length;
        }
        int sent = send_datagrams(vif, parts, count);
        if (sent < 0 && is_full(errno))
            return false;
        if (sent < 0 && peer_is_gone(errno)) {
            drop_backlog(dp, vif);
            return true;
        }
        for (int i = 0; i < sent; i++) {
            count_sent(vif, (uint32_t)parts[i].iov_len);
            parked_pop(backlog);
        }
        if (sent <= 0) {
            lose(dp, vif, parts[0].iov_base, (uint32_t)parts[0].iov_len);
            parked_drop_oldest(dp, backlog, DROP_INTERFACE_TX_DISCARD);
        }
    }
    return true;
}

static void lose_packet(struct datapath *dp, struct vif *vif, struct packet *p)
{
    lose(dp, vif, data_of(p), p->len);
    dp_drop(dp, p, DROP_INTERFACE_TX_DISCARD);
}

/* Frames from `first` on wait, or are lost when too many do. */
static void put_off(struct datapath *dp, struct vif *vif, uint32_t first)
{
    struct outbox *outbox = &dp->outbox;
    for (uint32_t i = first; i < outbox->count; i++) {
        struct packet *p = outbox->waiting[i];
        if (outbox->backlog.count >= BACKLOG_MAX)
            lose_packet(dp, vif, p);
        else
            park(dp, &outbox->backlog, p, DROP_INTERFACE_TX_DISCARD);
    }
    outbox->count = 0;
}

static void send_outbox(struct datapath *dp, struct vif *vif)
{
    struct outbox *outbox = &dp->outbox;
    struct iovec parts[OUTBOX];
    uint32_t done = 0;
    for (uint32_t i = 0; i < outbox->count; i++)
        parts[i] = (struct iovec){data_of(outbox->waiting[i]), outbox->waiting[i]->len};
    while (done < outbox->count) {
        int sent = send_datagrams(vif, parts + done, outbox->count - done);
        if (sent < 0 && is_full(errno))
            break;
        for (int i = 0; i < sent; i++, done++) {
            count_sent(vif, outbox->waiting[done]->len);
            packet_give(&dp->pool, outbox->waiting[done]);
        }
        if (sent <= 0)
            lose_packet(dp, vif, outbox->waiting[done++]);
    }
    put_off(dp, vif, done);
}

void device_flush(struct datapath *dp)
{
    struct vif *vif = dp->outbox.vif;
    if (!vif || (!dp->outbox.count && !dp->outbox.backlog.count))
        return;
    if (send_backlog(dp, vif))
        send_outbox(dp, vif);
    else
        put_off(dp, vif, 0);
    watch_room(dp, vif);
}

void device_forget_outbox(struct datapath *dp, struct vif *vif)
{
    struct outbox *outbox = &dp->outbox;
    if (outbox->vif != vif)
        return;
    for (uint32_t i = 0; i < outbox->count; i++)
        lose_packet(dp, vif, outbox->waiting[i]);
    outbox->count = 0;
    drop_backlog(dp, vif);
    outbox->vif = NULL;
    outbox->watched = false;
}

/* For the agent: sent with others at the end of the turn. Takes the packet. */
static void post(struct datapath *dp, struct vif *vif, struct packet *p)
{
    struct outbox *outbox = &dp->outbox;
    if (outbox->vif != vif && outbox->vif)
        device_forget_outbox(dp, outbox->vif);
    outbox->vif = vif;
    outbox->waiting[outbox->count++] = p;
    if (outbox->count == OUTBOX)
        device_flush(dp);
}

static bool write_frame(struct vif *vif, struct packet *p)
{
    uint8_t header[VNET_LEN];
    struct iovec part[2] = {{header, sizeof header}, {data_of(p), p->len}};
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
    if (vif->fd >= 0 && vif->framing == FRAMING_PKT0) {
        post(dp, vif, p);
        return;
    }
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

/* What one call reads: buffers, and beside each frame its offload header and auxiliary data. */
struct inbox {
    struct mmsghdr messages[READS];
    struct iovec parts[READS][2];
    uint8_t headers[READS][VNET_LEN];
    union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))]; }
        control[READS];
};

static void take_frame(struct vif *vif, struct packet *p, struct inbox *inbox, int i)
{
    struct msghdr *message = &inbox->messages[i].msg_hdr;
    bool vnet = vif->framing == FRAMING_VNET && inbox->messages[i].msg_len >= VNET_LEN;
    p->len = inbox->messages[i].msg_len - (vnet ? VNET_LEN : 0);
    if (vnet)
        packet_load_vnet(p, inbox->headers[i]);
    restore_tag(p, message);
}

/* Reads up to `room` frames from a socket; how many, or -1 with errno. */
static int read_socket(struct vif *vif, struct packet **got, int room)
{
    struct inbox inbox;
    bool vnet = vif->framing == FRAMING_VNET;
    for (int i = 0; i < room; i++) {
        inbox.parts[i][0] = (struct iovec){inbox.headers[i], VNET_LEN};
        inbox.parts[i][1] = (struct iovec){got[i]->buf + HEADROOM, FRAME_MAX};
        inbox.messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &inbox.parts[i][!vnet], .msg_iovlen = vnet ? 2 : 1,
            .msg_control = &inbox.control[i], .msg_controllen = sizeof inbox.control[i],
        };
    }
    int count = recvmmsg(vif->fd, inbox.messages, (unsigned)room, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        if (inbox.messages[i].msg_hdr.msg_flags & MSG_TRUNC)
            got[i]->len = 0;
        else
            take_frame(vif, got[i], &inbox, i);
    }
    return count;
}

static int read_plain(struct vif *vif, struct packet *p)
{
    uint8_t header[VNET_LEN];
    bool vnet = vif->framing == FRAMING_VNET;
    struct iovec part[2] = {{header, VNET_LEN}, {p->buf + HEADROOM, FRAME_MAX}};
    ssize_t got = readv(vif->fd, vnet ? part : part + 1, vnet ? 2 : 1);
    if (got < 0)
        return -1;
    p->len = (uint32_t)got - (vnet && got >= VNET_LEN ? VNET_LEN : 0);
    if (vnet && got >= VNET_LEN)
        packet_load_vnet(p, header);
    return 1;
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

static void note_read_error(struct datapath *dp, struct vif *vif)
{
    if (errno == EAGAIN || errno == EINTR)
        return;
    vif->counters[VC_DEV_IERRORS]++;
    if (is_end(errno))
        vif_detach(dp, vif);
    else
        device_is_attached(dp, vif);
}

/* Fills `got` with packets; how many there are buffers for. */
static int take_buffers(struct datapath *dp, struct packet **got, int wanted)
{
    int count = 0;
    while (count < wanted && (got[count] = packet_take(&dp->pool)))
        count++;
    return count;
}

/* Reads and handles up to `most` frames; how many. */
static int read_some(struct datapath *dp, struct vif *vif, int most)
{
    bool socket_like = vif->packet_socket || vif->framing == FRAMING_PKT0;
    struct packet *got[READS];
    int room = take_buffers(dp, got, !socket_like ? 1 : most < READS ? most : READS);
    if (!room)
        return 0;
    int count = socket_like ? read_socket(vif, got, room) : read_plain(vif, got[0]);
    if (count < 0)
        note_read_error(dp, vif);
    for (int i = count < 0 ? 0 : count; i < room; i++)
        packet_give(&dp->pool, got[i]);
    for (int i = 0; i < count; i++) {
        if (got[i]->len) {
            receive(dp, vif, got[i]);
        } else {
            vif->counters[VC_DEV_IERRORS]++;
            packet_give(&dp->pool, got[i]);
        }
    }
    return count < 0 ? 0 : count;
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

/* Only control calls delete vifs, and they wait for the lock. */
static void serve(struct datapath *dp, uint32_t idx, uint32_t events)
{
    struct vif *vif = dp_vif(dp, idx);
    for (int done = 0, count; vif && vif->fd >= 0 && done < BATCH; done += count) {
        count = read_some(dp, vif, BATCH - done);
        if (count)
            continue;
        if (done == 0 && (events & (EPOLLERR | EPOLLHUP)))
            clear_error(dp, vif);
        return;
    }
}

/* How long the loop may sleep; noted, so that a control call that leaves work wakes it. */
static int sleep_ms(struct datapath *dp)
{
    dp->idle = !dp->graves.count && !fragment_pending(dp);
    return dp->idle ? -1 : TICK_MS;
}

void loop_run(struct datapath *dp, int *error)
{
    struct epoll_event events[EVENTS];
    uint64_t count;
    *error = 0;
    while (!atomic_exchange(&dp->stopping, false)) {
        dp_lock(dp);
        int timeout = sleep_ms(dp);
        dp_unlock(dp);
        int ready = epoll_wait(dp->epoll, events, EVENTS, timeout);
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
