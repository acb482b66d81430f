# Picks the firmware slot, /a or /b, by the pair /slot (SPEC section 3); a board without a readable pointer boots /a.
import sys
from pair import Pair

sys.path.insert(0, "/b" if Pair("/slot").read() == b"b" else "/a")
