#include <stdio.h>

int main(void) {
    puts("hello, again");
    return 0;
}
