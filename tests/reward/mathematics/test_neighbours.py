"""What looks like an answer and says something else, a kind at a time: gold | given, a pair a line."""

import pytest

from rlexp.reward.mathematics.answers import agree, final_answer, only_answer

DATES_RANGES_SCORES = r"""
2023-02-01  |  2023-01-02
2024-05-06  |  2013
2-3  |  1-2
2-3  |  -1
1990-1995  |  -5
10-8  |  2
10-8  |  8-10
1/4/1011.5  |  1/2/2023
1/4/4  |  2/4/8
555-0100  |  555-100
555-0200+100  |  555-0100
2  |  8/2/2
"""
QUESTIONS = r"""
3+2  |  5
2^4 \cdot 3^2  |  144
5  |  3+2
12  |  \sqrt{144}
12  |  144^{1/2}
12  |  2*6
6  |  3!
3  |  \log_2 8
0.5  |  \sin 30^\circ
1  |  x/x
5  |  |-5|
"""
WORDS_BETWEEN_RELATIONS = r"""
x>1 and x<-1  |  x>1 or x<-1
x>1 or x<-1  |  x>1 and x<-1
(-\infty,-1) \cup (2,\infty)  |  x < -1 and x > 2
x=1 \text{ and } y=2  |  x=1 or y=2
x=1 or y=2  |  x=1, y=2
(1,2)  |  x=1 or y=2
"""
SETS_IN_SETS = r"""
\{1,2\}  |  \{\{1\},2\}
\{\{1\},2\}  |  \{1,2\}
1, 2  |  \{1\}, 2
3  |  \{\{3\}\}
\{3\}  |  \{\{3\}\}
"""
WORDS_AROUND_A_NUMBER = r"""
20% increase  |  20
20\% \text{ increase}  |  20\%
75\% \text{ of } x  |  75
5 \text{ per } x  |  5
5  |  5 km north
5 km north  |  5 km
5  |  5 \text{ m higher}
3  |  ~3
3  |  x = ~3
"""
RIGHT = r"""
2023-02-01  |  2023-2-1
1990-1995  |  1990–1995
10-8  |  10 - 8
2-3  |  \text{2-3}
3+2  |  2+3
2^4 \cdot 3^2  |  3^2 \times 2^4
3!  |  6
\sqrt{144}  |  12
12  |  24/2
12  |  \sqrt{144} = 12
1/2  |  0.5
0.001  |  10^{-3}
10^{-3}  |  0.001
1+\sqrt2  |  \sqrt2+1
3\sqrt2  |  \sqrt{18}
-\frac12  |  -0.5
x>1 or x<-1  |  x<-1 or x>1
x>1 or x<-1  |  x<-1, x>1
x=1, y=2  |  x=1 and y=2
1 and 2  |  1 or 2
1, 2  |  x=1 or x=2
x=1 and x=2  |  x=1 or x=2
\{\{1\},2\}  |  \{2,\{1\}\}
3  |  \{3\}
12  |  12 cm
12  |  12 apples
12  |  12 \text{ km/h}
12 \text{ liters of water}  |  12
12 \text{ cm}  |  12~\text{cm}
15  |  15%
12, 345  |  12,345
"""
OTHER_SPELLINGS = r"""
yes  |  Yes
Yes  |  YES
\text{No}  |  no
\text{yes}  |  \text{YES}
12  |  \mathbf{12}
\mathbf{12}  |  12
3:4  |  3/4
1:2  |  10:20
1:2:3  |  2:4:6
1:20  |  1 : 20
09:30  |  9:30
2 hours and 30 minutes  |  2 hours 30 minutes
2 \text{ hours and } 30 \text{ minutes}  |  2 \text{ hours } 30 \text{ minutes}
2n+1  |  a_n = 2n+1
a_n = 2n+1  |  2n+1
2n+1  |  a_{n} = 2n+1
\text{all real numbers}  |  \mathbb{R}
(-\infty,\infty)  |  \mathbb{R}
\mathbb{R}  |  all real numbers
(-\infty,\infty)  |  x \in \mathbb{R}
60 mph  |  60 \frac{\text{miles}}{\text{hour}}
60 \text{ mph}  |  60\,\frac{\text{miles}}{\text{hour}}
4 July 1776  |  July 4, 1776
July 4, 1776  |  4 July 1776
\text{July 4, 1776}  |  4 July 1776
"""
OTHER_ANSWERS = r"""
1:1  |  1
yes  |  no
1:2:3  |  2:4:7
1:2  |  2:1
1:2:0  |  1:3:0
10:20  |  1:2
1:20  |  1/20
1:20  |  2:40
3:4  |  \frac{4}{3}
2  |  2 hours 30 minutes
30 minutes  |  2 hours 30 minutes
2n+1  |  a_k = 2n+1
2n+1  |  x = 2n+1
\mathbb{R} \setminus \{0\}  |  \mathbb{R}
\text{all real numbers except } 0  |  all real numbers
\mathbb{R}  |  R
60 mph  |  60 \frac{\text{km}}{\text{hour}}
July 4, 1776  |  7 April 1776
"""


def pairs(*tables):
    return [tuple(line.split("  |  ")) for table in tables for line in table.strip().splitlines()]


@pytest.mark.parametrize(
    ("gold", "given"),
    pairs(DATES_RANGES_SCORES, QUESTIONS, WORDS_BETWEEN_RELATIONS, SETS_IN_SETS, WORDS_AROUND_A_NUMBER, OTHER_ANSWERS),
)
def test_a_neighbour_is_wrong(gold, given):
    assert not agree(only_answer(given), final_answer(gold))


@pytest.mark.parametrize(("gold", "given"), pairs(RIGHT, OTHER_SPELLINGS))
def test_what_says_the_same_is_right(gold, given):
    assert agree(only_answer(given), final_answer(gold))
