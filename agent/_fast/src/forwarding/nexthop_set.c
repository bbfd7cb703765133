/* Nexthops as messages set them: the checks and their codes. */
#include "dp.h"

#include <errno.h>
#include <stdlib.h>

void nexthop_free(struct nexthop *nh)
{
    if (nh)
        free(nh->components);
    free(nh);
}

static struct vif *out_vif(struct datapath *dp, const struct nexthop *nh)
{
    return nh->oif >= 0 ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
}

static int check_encap(struct datapath *dp, const struct nexthop *nh)
{
    bool mcast = nh->flags & NHF_MCAST;
    if ((nh->family != AF_V4 && nh->family != AF_BRIDGED) || !out_vif(dp, nh))
        return -EINVAL;
    if (nh->family == AF_V4 && !mcast && nh->encap_len < 6)
        return -EINVAL;
    return nh->family == AF_BRIDGED && mcast ? -EINVAL : 0;
}

static int check_tunnel(struct datapath *dp, const struct nexthop *nh)
{
    if (nh->family == AF_V6 || (nh->flags & (NHF_PBB | NHF_MPLS_MPLS)))
        return -EOPNOTSUPP;
    if (nh->tun_sip == 0 || nh->tun_dip == 0)
        return -EINVAL;
    if (!out_vif(dp, nh))
        return -ENODEV;
    return nh->flags & NHF_TUNNELS ? 0 : -EINVAL;
}

/* May this nexthop be a part of that composite? */
static bool fits(const struct nexthop *whole, const struct nexthop *part)
{
    if (whole->flags & NHF_MCAST)
        return part->type == NH_COMPOSITE && (part->flags & NHF_TREE_PARTS);
    if (whole->flags & (NHF_FABRIC | NHF_EVPN | NHF_TOR))
        return part->type == NH_TUNNEL;
    if (whole->flags & NHF_ENCAP)
        return part->type == NH_ENCAP;
    return part->type != NH_COMPOSITE || (part->flags & NHF_ECMP) == 0;
}

static int check_composite(struct datapath *dp, const struct nexthop *nh, const int32_t *nh_list,
                           uint32_t nh_count, uint32_t label_count)
{
    if (nh_count != label_count)
        return -EINVAL;
    for (uint32_t i = 0; i < nh_count; i++) {
        struct nexthop *part = nh_list[i] >= 0 ? dp_nexthop(dp, (uint32_t)nh_list[i]) : NULL;
        if (part && !fits(nh, part))
            return -EINVAL;
    }
    return 0;
}

static int check_kind(struct datapath *dp, const struct nexthop *nh, const int32_t *nh_list,
                      uint32_t nh_count, uint32_t label_count)
{
    if (!(nh->flags & NHF_VALID))
        return 0;
    switch (nh->type) {
    case NH_ENCAP:
        return check_encap(dp, nh);
    case NH_TUNNEL:
        return check_tunnel(dp, nh);
    case NH_RECEIVE:
        return out_vif(dp, nh) ? 0 : -ENODEV;
    case NH_COMPOSITE:
        return check_composite(dp, nh, nh_list, nh_count, label_count);
    case NH_VRF_TRANSLATE:
        return nh->vrf >= 0 && (uint32_t)nh->vrf < dp->max_vrfs ? 0 : -EINVAL;
    default:
        return 0;
    }
}

static int check_change(const struct nexthop *old, const struct nexthop *new)
{
    bool resized = old->encap_len && new->encap_len != old->encap_len;
    bool redirected = (old->flags ^ new->flags) & NHF_INDIRECT;
    return old->type != new->type || resized || redirected ? -EINVAL : 0;
}

static struct component *copy_components(const int32_t *nh_list, const int32_t *label_list,
                                         uint32_t count)
{
    struct component *components = calloc(count ? count : 1, sizeof *components);
    for (uint32_t i = 0; components && i < count; i++)
        components[i] = (struct component){nh_list[i], label_list[i]};
    return components;
}

int nexthop_set(struct datapath *dp, const struct nexthop *config, const int32_t *nh_list,
                const int32_t *label_list, uint32_t nh_count, uint32_t label_count)
{
    if (config->id >= dp->max_nexthops || config->type >= NH_TYPES)
        return -EINVAL;
    struct nexthop *nh = dp->nexthops[config->id];
    if (config->id == 0)
        return config->type == NH_DISCARD ? 0 : -EINVAL;
    int code = nh ? check_change(nh, config) : 0;
    if (code == 0)
        code = check_kind(dp, config, nh_list, nh_count, label_count);
    if (code)
        return code;
    uint32_t count = nh_count < label_count ? nh_count : label_count;
    struct component *components = copy_components(nh_list, label_list, count);
    if (!nh)
        nh = calloc(1, sizeof *nh);
    if (!nh || !components) {
        free(components);
        if (!dp->nexthops[config->id])
            free(nh);
        return -ENOMEM;
    }
    free(nh->components);
    *nh = *config;
    nh->components = components;
    nh->count = count;
    dp->nexthops[config->id] = nh;
    return 0;
}

int nexthop_delete(struct datapath *dp, uint32_t id)
{
    struct nexthop *nh = id ? dp_nexthop(dp, id) : NULL;
    if (!nh)
        return -EINVAL;
    nexthop_free(nh);
    dp->nexthops[id] = NULL;
    return 0;
}
