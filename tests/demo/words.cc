// A small C++ program for the demo without a network: counts the words of its
// input, and checks itself with an exception that crosses library frames.
#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

int main(int argc, char **)
{
    if (argc > 1) {
        try {
            std::vector<int>().at(1);
        } catch (const std::out_of_range &) {
            std::cout << "caught\n";
            return 0;
        }
        return 1;
    }
    std::map<std::string, int> count;
    for (std::string word; std::cin >> word;)
        ++count[word];
    for (const auto &[word, n] : count)
        std::cout << n << ' ' << word << '\n';
}
