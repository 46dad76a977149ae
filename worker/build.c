#include "worker/build.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "muster_version.h"

static size_t aligned(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

/* Appends the build id among the notes at `note`, if it is there. */
static void add_note(const char *note, size_t left, char *text, size_t size)
{
    while (left > sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *head = (const void *)note;
        const char *name = note + sizeof(*head);
        const uint8_t *id = (const uint8_t *)name + aligned(head->n_namesz);
        size_t all =
            sizeof(*head) + aligned(head->n_namesz) + aligned(head->n_descsz);

        if (all > left)
            return;
        if (head->n_type == NT_GNU_BUILD_ID && head->n_namesz == 4 &&
            memcmp(name, "GNU", 4) == 0) {
            for (size_t i = 0; i < head->n_descsz; i++)
                snprintf(text + strlen(text), size - strlen(text), "%02x",
                         id[i]);
            return;
        }
        note += all;
        left -= all;
    }
}

struct build {
    char text[96];
};

/* The first object is the program itself. */
static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct build *build = arg;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_NOTE)
            add_note((const char *)(info->dlpi_addr + part->p_vaddr),
                     part->p_memsz, build->text, sizeof(build->text));
    }
    return 1;
}

const char *ms_build_id(void)
{
    static struct build build;

    if (build.text[0] == '\0') {
        snprintf(build.text, sizeof(build.text), "%s+", MUSTER_VERSION);
        dl_iterate_phdr(on_object, &build);
    }
    return build.text;
}
