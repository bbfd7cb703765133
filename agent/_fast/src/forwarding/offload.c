/* What network hardware does elsewhere: checksums, segmentation, fragments, MSS. */
#include "dp.h"

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_PSH = 8, TCP_CWR = 0x80, OVERLAY_L3 = 40, OVERLAY_L2 = 62 };
enum { IP4_MF = 0x2000 };

bool segmentable(const struct packet *p) { return p->vnet.gso_type != GSO_NONE; }

/* A checksum field that holds only its pseudo header's sum gets its value. */
bool checksum_complete(struct packet *p)
{
    if (!(p->vnet.flags & VNET_NEEDS_CSUM))
        return true;
    p->vnet.flags &= (uint8_t)~VNET_NEEDS_CSUM;
    uint32_t start = p->vnet.csum_start, field = start + p->vnet.csum_offset;
    if (start < p->off || !has_bytes(p, field, 2))
        return false;
    uint16_t sum = checksum_of(p->buf + start, p->off + p->len - start, 0);
    put16(p->buf + field, sum ? sum : 0xffff);
    return true;
}

/* Sum of the pseudo header of the packet at l3. */
static uint64_t pseudo_sum(const struct packet *p, uint8_t proto, uint32_t length)
{
    const uint8_t *ip = p->buf + p->l3;
    uint64_t sum = p->l3_type == TYPE_IP4 ? sum_bytes(ip + 12, 8, 0) : sum_bytes(ip + 8, 32, 0);
    return sum + proto + (length >> 16) + (length & 0xffff);
}

struct cut {
    uint32_t l4, headers;       /* transport header; bytes before the payload from off */
    bool tcp;
    uint32_t seq;
    uint8_t flags;
};

static bool plan_cut(struct packet *p, struct cut *cut)
{
    uint8_t type = p->vnet.gso_type & (uint8_t)~GSO_ECN;
    if (!p->l3 || (p->l3_type != TYPE_IP4 && p->l3_type != TYPE_IP6) || packet_parse_ip(p) >= 0)
        return false;
    cut->l4 = p->vnet.csum_start;
    cut->tcp = type == GSO_TCP4 || type == GSO_TCP6;
    uint32_t least = p->l3 + (p->l3_type == TYPE_IP4 ? IP4_LEN : IP6_LEN);
    if (cut->l4 < least || !has_bytes(p, cut->l4, cut->tcp ? TCP_LEN : UDP_LEN))
        return false;
    const uint8_t *l4 = p->buf + cut->l4;
    uint32_t l4_len = cut->tcp ? (l4[12] >> 4) * 4u : (uint32_t)UDP_LEN;
    if ((cut->tcp && l4_len < TCP_LEN) || !has_bytes(p, cut->l4, l4_len))
        return false;
    cut->headers = cut->l4 + l4_len - p->off;
    cut->seq = cut->tcp ? get32(l4 + 4) : 0;
    cut->flags = cut->tcp ? l4[13] : 0;
    return true;
}

/* Lengths, sequence and checksums of one piece whose payload is in place. */
static void finish_piece(struct packet *piece, const struct cut *cut, uint32_t done, bool last,
                         uint32_t number)
{
    uint8_t *ip = piece->buf + piece->l3, *l4 = piece->buf + cut->l4;
    uint32_t end = piece->off + piece->len, l4_len = end - cut->l4;
    if (piece->l3_type == TYPE_IP4) {
        put16(ip + 2, (uint16_t)(end - piece->l3));
        put16(ip + 4, (uint16_t)(get16(ip + 4) + number));
        put16(ip + 10, 0);
        put16(ip + 10, checksum_of(ip, (ip[0] & 15u) * 4, 0));
    } else {
        put16(ip + 4, (uint16_t)(end - piece->l3 - IP6_LEN));
    }
    piece->l3_end = end;
    uint32_t field = cut->tcp ? 16 : 6;
    if (cut->tcp) {
        put32(l4 + 4, cut->seq + done);
        if (!last)
            l4[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
        if (done)
            l4[13] &= (uint8_t)~TCP_CWR;
    } else {
        put16(l4 + 4, (uint16_t)l4_len);
    }
    put16(l4 + field, 0);
    uint64_t sum = pseudo_sum(piece, cut->tcp ? PROTO_TCP : PROTO_UDP, l4_len);
    uint16_t value = checksum_of(l4, l4_len, sum);
    put16(l4 + field, value || cut->tcp ? value : 0xffff);
}

static struct packet *cut_piece(struct datapath *dp, const struct packet *p, uint32_t headers,
                                uint32_t from, uint32_t count)
{
    struct packet *piece = packet_take(&dp->pool);
    if (!piece)
        return NULL;
    memcpy(piece, p, offsetof(struct packet, buf));
    uint32_t first = p->frame < p->off ? p->frame : p->off;
    memcpy(piece->buf + first, p->buf + first, p->off + headers - first);
    memcpy(piece->buf + p->off + headers, p->buf + from, count);
    piece->len = headers + count;
    memset(&piece->vnet, 0, sizeof piece->vnet);
    return piece;
}

void segment(struct datapath *dp, struct packet *p, segment_sink *sink, void *context)
{
    struct cut cut;
    uint8_t type = p->vnet.gso_type & (uint8_t)~GSO_ECN;
    if (type == GSO_UDP) {
        /* One datagram, to be cut by IP fragmentation where it does not fit. */
        p->vnet.gso_type = GSO_NONE;
        checksum_complete(p);
        sink(dp, p, context);
        return;
    }
    if ((type != GSO_TCP4 && type != GSO_TCP6 && type != GSO_UDP_L4) || !plan_cut(p, &cut)) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    uint32_t start = p->off + cut.headers, total = p->len - cut.headers, number = 0;
    uint32_t size = p->vnet.gso_size;
    for (uint32_t done = 0; done < total || number == 0; done += size, number++) {
        uint32_t count = total - done < size ? total - done : size;
        struct packet *piece = cut_piece(dp, p, cut.headers, start + done, count);
        if (!piece) {
            dp_count_drop(dp, p->in, DROP_NO_MEMORY);
            break;
        }
        finish_piece(piece, &cut, done, done + count >= total, number);
        sink(dp, piece, context);
    }
    packet_give(&dp->pool, p);
}

void fragment_ip4(struct datapath *dp, struct packet *p, uint32_t max, segment_sink *sink,
                  void *context)
{
    const uint8_t *ip = p->buf + p->l3;
    uint32_t header = (ip[0] & 15u) * 4, total = p->off + p->len - p->l3 - header;
    uint32_t step = max > header ? (max - header) & ~7u : 0;
    uint16_t field = get16(ip + 6);
    if (step == 0 || total == 0) {
        dp_drop(dp, p, DROP_FRAGMENTS);
        return;
    }
    uint32_t headers = p->l3 - p->off + header, start = p->off + headers;
    for (uint32_t done = 0; done < total; done += step) {
        uint32_t count = total - done < step ? total - done : step;
        struct packet *piece = cut_piece(dp, p, headers, start + done, count);
        if (!piece) {
            dp_count_drop(dp, p->in, DROP_NO_MEMORY);
            break;
        }
        uint8_t *out = piece->buf + piece->l3;
        bool more = done + count < total || (field & IP4_MF);
        put16(out + 2, (uint16_t)(header + count));
        put16(out + 6, (uint16_t)(((field & 0x1fff) + done / 8) | (more ? IP4_MF : 0)));
        put16(out + 10, 0);
        put16(out + 10, checksum_of(out, header, 0));
        piece->is_fragment = 1;
        piece->l3_end = piece->off + piece->len;
        sink(dp, piece, context);
    }
    packet_give(&dp->pool, p);
}

/* --- MSS --- */

static const struct vif *fabric_of(const struct datapath *dp)
{
    for (uint32_t i = 0; i < dp->max_vifs; i++)
        if (dp->vifs[i] && dp->vifs[i]->type == VIF_PHYSICAL)
            return dp->vifs[i];
    return NULL;
}

/* The value of the MSS option of the TCP header at l4, or NULL. */
static uint8_t *find_mss(struct packet *p, uint32_t length)
{
    uint8_t *tcp = p->buf + p->l4;
    for (uint32_t at = TCP_LEN; at < length && tcp[at] != 0;) {
        if (tcp[at] == 1) {
            at++;
            continue;
        }
        if (at + 1 >= length || tcp[at + 1] < 2)
            return NULL;
        if (tcp[at] == 2 && tcp[at + 1] == 4 && at + 4 <= length)
            return tcp + at + 2;
        at += tcp[at + 1];
    }
    return NULL;
}

void adjust_mss(struct datapath *dp, struct packet *p, bool l2)
{
    if (!dp->mss_adjust || !p->l4 || p->proto != PROTO_TCP || p->is_fragment
        || !has_bytes(p, p->l4, TCP_LEN))
        return;
    uint8_t *tcp = p->buf + p->l4;
    uint32_t length = (tcp[12] >> 4) * 4u;
    if (!(tcp[13] & TCP_SYN) || length < TCP_LEN || !has_bytes(p, p->l4, length))
        return;
    const struct vif *fabric = fabric_of(dp);
    uint8_t *mss = find_mss(p, length);
    if (!mss || !fabric)
        return;
    uint32_t taken = (p->l4 - p->l3) + TCP_LEN + (l2 ? OVERLAY_L2 : OVERLAY_L3);
    uint32_t mtu = vif_ip_mtu(fabric);
    uint16_t old = get16(mss), most = (uint16_t)(mtu > taken ? mtu - taken : 0);
    if (most == 0 || old <= most)
        return;
    put16(mss, most);
    if (p->vnet.flags & VNET_NEEDS_CSUM)
        return;
    bool odd = (mss - tcp) & 1;
    uint16_t before = odd ? __builtin_bswap16(old) : old;
    uint16_t after = odd ? __builtin_bswap16(most) : most;
    put16(tcp + 16, checksum_change(get16(tcp + 16), before, after));
}
