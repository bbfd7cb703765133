/* DHCPv4 (RFC 2131, 2132): the fixed part and the options that an answer depends on. */
#include "packet.h"

#include "bytes.h"

enum { BOOTP_SIZE = 236, COOKIE = 0x63825363 };
enum { OPTION_PAD = 0, OPTION_HOST_NAME = 12, OPTION_DOMAIN = 15, OPTION_REQUESTED = 50,
       OPTION_TYPE = 53, OPTION_SERVER_ID = 54, OPTION_PARAMETERS = 55, OPTION_MAX_SIZE = 57,
       OPTION_VENDOR_CLASS = 60, OPTION_CLIENT_ID = 61, OPTION_RELAY_AGENT = 82,
       OPTION_ROUTES = 121, OPTION_END = 255 };

static struct span *text_option(struct dhcp *d, uint8_t code)
{
    switch (code) {
    case OPTION_HOST_NAME:
        return &d->host_name;
    case OPTION_DOMAIN:
        return &d->domain;
    case OPTION_PARAMETERS:
        return &d->parameters;
    case OPTION_RELAY_AGENT:
        return &d->relay_agent;
    case OPTION_CLIENT_ID:
        return &d->client_id;
    case OPTION_VENDOR_CLASS:
        return &d->vendor_class;
    default:
        return NULL;
    }
}

/* An option too short for its type is as good as absent. */
static void take_option(struct dhcp *d, const uint8_t *frame, uint8_t code, uint32_t at,
                        uint8_t length)
{
    const uint8_t *value = frame + at;
    if (code == OPTION_TYPE && length >= 1)
        d->msg_type = value[0];
    else if (code == OPTION_REQUESTED && length >= 4)
        d->requested = get32(value);
    else if (code == OPTION_SERVER_ID && length >= 4)
        d->server_id = get32(value);
    else if (code == OPTION_MAX_SIZE && length >= 2)
        d->max_size = get16(value);
    struct span *text = text_option(d, code);
    if (text)
        *text = (struct span){at, length};
    if (code == OPTION_PARAMETERS)
        d->wants_routes = length && memchr(value, OPTION_ROUTES, length) != NULL;
}

static void read_options(struct dhcp *d, const uint8_t *frame, uint32_t at, uint32_t end)
{
    while (at < end && frame[at] != OPTION_END) {
        uint8_t code = frame[at++];
        if (code == OPTION_PAD)
            continue;
        if (at == end)
            return;
        uint8_t length = frame[at++];
        if (length > end - at)
            return;
        take_option(d, frame, code, at, length);
        at += length;
    }
}

static void read_fixed(struct dhcp *d, const uint8_t *b)
{
    d->hops = b[3];
    d->xid = get32(b + 4);
    d->secs = get16(b + 8);
    d->flags = get16(b + 10);
    d->ciaddr = get32(b + 12);
    d->yiaddr = get32(b + 16);
    d->siaddr = get32(b + 20);
    d->giaddr = get32(b + 24);
    memcpy(d->chaddr, b + 28, 6);
}

/* As the vectors want it, captured bytes count, even beyond what the UDP length says. */
void dhcp_parse(struct packet *p, const uint8_t *frame)
{
    struct dhcp *d = &p->dhcp;
    uint32_t at = p->data, end = p->captured;
    if (end - at < BOOTP_SIZE) {
        d->status = DHCP_SHORT_HEADER;
        return;
    }
    read_fixed(d, frame + at);
    at += BOOTP_SIZE;
    if (end - at < 4 || get32(frame + at) != COOKIE) {
        d->status = DHCP_BAD_COOKIE;
        return;
    }
    d->status = DHCP_OK;
    read_options(d, frame, at + 4, end);
}
