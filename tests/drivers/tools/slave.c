/* A Modbus RTU slave made of libmodbus, as a peer that shares no code with us: eight inputs, of which the third is
 * closed, eight coils, and a flash-on at 0x0200 + coil like that of Waveshare's modules, in units of 100 ms.
 *
 *     slave PORT BAUD ADDRESS
 *
 * Prints "ready" once, then "on COIL UNITS" for each flash-on. Ends when its standard input does, or its port.
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BITS 8
#define FLASH 0x0200

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    uint8_t request[MODBUS_RTU_MAX_ADU_LENGTH];
    int64_t off_at[BITS] = {0};
    if (argc != 4)
        return 64;
    modbus_t *line = modbus_new_rtu(argv[1], atoi(argv[2]), 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(BITS, BITS, 0, 0);
    if (line == NULL || map == NULL || modbus_set_slave(line, atoi(argv[3])) || modbus_connect(line))
        return 69;
    map->tab_input_bits[2] = 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd ends[2] = {{0, POLLIN, 0}, {modbus_get_socket(line), POLLIN, 0}};
        poll(ends, 2, -1);
        if (ends[0].revents)
            break;
        int length = modbus_receive(line, request);
        if (length < 0 && (errno == EIO || errno == EBADF || errno == ENXIO))
            break;
        if (length <= 0)
            continue;
        for (int bit = 0; bit < BITS; bit++)
            if (off_at[bit] && now_ms() >= off_at[bit])
                map->tab_bits[bit] = off_at[bit] = 0;
        int coil = (request[2] << 8 | request[3]) - FLASH;
        int units = request[4] << 8 | request[5];
        if (request[1] == MODBUS_FC_WRITE_SINGLE_COIL && coil >= 0 && coil < BITS) {
            map->tab_bits[coil] = 1;
            off_at[coil] = now_ms() + units * 100;
            printf("on %d %d\n", coil, units);
            fflush(stdout);
            modbus_send_raw_request(line, request, length - 2); /* it adds the CRC itself */
        } else {
            modbus_reply(line, request, length, map);
        }
    }
    modbus_close(line);
    modbus_mapping_free(map);
    modbus_free(line);
    return 0;
}
