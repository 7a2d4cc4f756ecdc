/* A host that reaches the machine over AF_VSOCK from inside (vsock_loopback): it sends a file to a port of this machine, and
 * writes to standard output what comes back, until the other side closes or says nothing for some seconds.
 *
 *   vsock PORT FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

int main(int argc, char **argv) {
    struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_port = atoi(argv[1]), .svm_cid = VMADDR_CID_LOCAL};
    struct timeval patience = {.tv_sec = 8};
    char bytes[4096];
    int file = open(argv[2], O_RDONLY), host = socket(AF_VSOCK, SOCK_STREAM, 0);
    ssize_t got;

    if (argc != 3 || file < 0 || host < 0 || connect(host, (struct sockaddr *)&to, sizeof to)) {
        perror("vsock");
        return 1;
    }
    setsockopt(host, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while ((got = read(file, bytes, sizeof bytes)) > 0)
        if (write(host, bytes, got) != got)
            return 2;
    while ((got = read(host, bytes, sizeof bytes)) > 0)
        if (write(1, bytes, got) != got)
            return 3;
    return got == 0 ? 0 : 4;
}
