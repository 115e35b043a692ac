int plugin(int x) { return x + 41; }
