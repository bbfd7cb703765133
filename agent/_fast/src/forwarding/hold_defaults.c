/* Stand-ins until the packet path brings its own. */
#include "hold.h"

#include "dp.h"

__attribute__((weak)) void hold_release(struct datapath *dp, uint32_t index) { (void)dp; }
__attribute__((weak)) void hold_drop(struct datapath *dp, uint32_t index, int reason) { (void)dp; }
__attribute__((weak)) void flow_resume(struct datapath *dp, struct packet *p)
{
    dp_drop(dp, p, DROP_FRAGMENTS);
}
