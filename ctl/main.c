/* musterctl: what operators and scripts say to a fleet. */
#include <unistd.h>

#include "ctl/ctl.h"

int main(int argc, char **argv)
{
    return ms_ctl_main(argv, environ);
}
