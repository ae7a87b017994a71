"""Two answers agree where they mean the same, and nowhere else: gold | given, a pair a line."""

import pytest

from rlexp.inputs.script import load_script
from rlexp.reward.mathematics.answers import agree, final_answer, is_read, only_answer
from tests.conftest import ROOT

REPORTED_RIGHT = r"""
90  |  90^\circ
12  |  12 \mathrm{~cm}
1500  |  1.5 \times 10^3
2.5  |  2\frac{1}{2}
4,5  |  4, 5
1331, 1728  |  1728, 1331
-3  |  –3
B  |  (B) 14
2\sqrt{3}  |  2√3
\pi  |  \pi \approx 3
2x+4y-3=0  |  y = -\frac{1}{2}x + \frac{3}{4}
73  |  **73**
\text{13}  |  13
0,1  |  (0,1)
a=1 \text{ or } a=-2  |  1, -2
\{1,3\} \cup \{2,4\}  |  \{1,2,3,4\}
29  |  $29.00
70000  |  $70,000
-3  |  -3
5  |  +5
B  |  \boxed{B}
"""
REPORTED_WRONG = r"""
1-\frac{1}{\mathrm{e}}  |  1+\frac{1}{\mathrm{e}}
2\mathrm{e}  |  2
2^{\aleph_0}  |  2
\frac{1}{2004!}  |  \frac{1}{2006!}
1, 2, \ldots, n  |  1, 3, 5, \ldots, 2n-1
\frac \pi4 + 2 - \sqrt2  |  2
25 \text{ ft}  |  25 \text{ km}
\frac{1}{2}  |  \frac{1}{2}, \frac{1}{3}
\frac{1}{2}  |  \frac{1}{3}, \frac{1}{2}
\frac{1}{2}  |  \frac{1}{2} \text{ or } \frac{1}{3}
\frac{1}{2}  |  \boxed{\frac{1}{2}} or \boxed{3}
\frac{1}{2}  |  \boxed{3} or \boxed{\frac{1}{2}}
\frac{1}{2}  |  $\frac{1}{2}$ or $\frac{1}{3}$
\frac{1}{2}  |  $\frac{1}{3}$ or $\frac{1}{2}$
\sqrt{2}  |  $\sqrt{2}$ $\sqrt{3}$ $\sqrt{5}$
\sqrt{2}  |  $\sqrt{3}$ $\sqrt{5}$ $\sqrt{2}$
\sqrt{2}  |  \sqrt{2}=\sqrt{3}
x^2  |  x^2 \neq x^3
\frac{\pi}{2}  |  \frac{\pi}{2} or \frac{\pi}{3}
x=2  |  x=2 or x=3
x=2  |  x=3, x=2
(1,2)  |  (1,2) or (2,1)
(1,2)  |  (2,1), (1,2)
[0,1]  |  [0,1] \cup [2,3]
\{1,2\}  |  \{1,2\} or \{3\}
4  |  \boxed{4} or \boxed{5}
4  |  $4$ or $5$
\frac{1}{2^{99}}  |  \frac{1}{2^{98}}
n=2, 3, 4  |  n=1, 2, 3
D = (0, 1)  |  D = (0, 1.5)
F_n = \sum_{k=0}^{n-1} F_k F_{n-k-1}  |  F_n = \sum_{k=0}^{n-2} F_k F_{n-k-2}
19, 46, \text{ and } 82  |  21, 36, and 82
\frac{2^{2005}+1}{3 \cdot 2^{2006}}  |  \frac{1}{3 \cdot 2^{2006}}
1 - \frac{1}{\mathrm{e}}  |  1 + \frac{1}{\mathrm{e}}
\pm 2021  |  2021
12:00  |  1:00
1:2:3:\ldots  |  1:4:9:\ldots
3x-y+13=0  |  3x+4y+14=0
3*x-1*y+13=0  |  3x + 4y + 14=0
4  |  4\sqrt(2)
0,1  |  1
a=1 \text{ or } a=-2  |  -2
\{1,3\} \cup \{2,4\}  |  \{1,2,3\}
-3  |  3
5  |  -5
"""
RIGHT = r"""
1500  |  1.5 x 10^3
20^\circ \text{C}  |  20 °C
20^\circ \text{C}  |  20
(1,2)  |  (x,y)=(1,2)
4\pi  |  4π cm
\binom{n}{2}  |  \frac{n(n-1)}{2}
n!  |  n \cdot (n-1)!
\begin{pmatrix}1\\2\end{pmatrix}  |  \left(\begin{array}{c}1\\2\end{array}\right)
5  |  5 $
5  |  5 \$
\arctan 2  |  \tan^{-1}(2)
(-\infty,-1) \cup (2,\infty)  |  x < -1 or x > 2
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}  |  [[1, 2], [3, 4]]
1 \mp x  |  1 - x, 1 + x
90  |  90^{\circ}
90^\circ  |  90 degrees
90^\circ  |  90\text{ degrees}
90^\circ  |  90°
1500  |  1.5e3
1500  |  1.5 * 10^3
1500  |  1{,}500
1500  |  1\,500
1500  |  1 500
1500  |  15 \cdot 10^2
1500  |  1.5×10³
0.00015  |  1.5 \times 10^{-4}
2.5  |  2 1/2
2.5  |  2½
2.5  |  \frac{5}{2}
2.5  |  5/2
-2.5  |  -2\frac{1}{2}
\frac{46}{15}  |  3\frac{1}{15}
\frac{46}{15}  |  46/15
\frac{46}{15}  |  \frac{92}{30}
\frac{46}{15}  |  \dfrac{46}{15}
\frac{46}{15}  |  {46 \over 15}
4,5  |  5, 4
4,5  |  \{4,5\}
4,5  |  {4, 5}
4,5  |  4 and 5
4,5  |  4 \text{ and } 5
4,5  |  x = 4, 5
4,5  |  x=4 or x=5
4,5  |  x = 4 \text{ or } x = 5
4,5  |  [4, 5]
1331, 1728  |  1331 and 1728
1331, 1728  |  1,331 and 1,728
(1,2)  |  \left(1, 2\right)
(1,2)  |  (1.0, 2)
(1,2)  |  1, 2
(1,2)  |  x=1, y=2
(1,2)  |  \langle 1, 2 \rangle
(3,\pi/2)  |  \left(3, \frac{\pi}{2}\right)
[0,\infty)  |  x \ge 0
[0,\infty)  |  x \geq 0
[0,\infty)  |  0 \le x < \infty
(2,12)\cup(12,102)  |  (12,102) \cup (2, 12)
[-2,7]  |  -2 \le x \le 7
[-2,7]  |  x \in [-2, 7]
x \in [-2,7]  |  [-2,7]
(-\infty,4)  |  x < 4
2\sqrt{3}  |  2\sqrt3
2\sqrt{3}  |  \sqrt{12}
2\sqrt{3}  |  2*sqrt(3)
2\sqrt{3}  |  2 sqrt(3)
2\sqrt{3}  |  2sqrt(3)
2\sqrt{3}  |  2 \cdot \sqrt{3}
2\sqrt{3}  |  2\sqrt{3} \text{ cm}
2\sqrt{3}  |  2 \cdot 3^{1/2}
\frac{1}{\sqrt{2}}  |  \frac{\sqrt{2}}{2}
\frac{1}{\sqrt{2}}  |  sqrt(2)/2
\frac{\pi}{4}  |  pi/4
\frac{\pi}{4}  |  \pi/4
\frac{\pi}{4}  |  0.25\pi
1-\frac{1}{e}  |  1 - e^{-1}
1-\frac{1}{\mathrm{e}}  |  \frac{e-1}{e}
\ln 2  |  \ln(2)
\ln 2  |  ln 2
\log_2 3  |  \frac{\ln 3}{\ln 2}
x^2+2x+1  |  (x+1)^2
x^2+2x+1  |  x^2 + 2*x + 1
x^2+2x+1  |  x**2+2*x+1
3qr + 6q - 15r -30  |  3(q-5)(r+2)
y=2x+3  |  y = 3 + 2x
y=2x+3  |  2x - y + 3 = 0
y=2x+3  |  y-2x=3
x=5  |  5
5  |  x=5
5  |  n = 5
B  |  \text{B}
B  |  (B)
B  |  B)
B  |  b
B  |  \textbf{(B)}
B  |  \text{(B)}
B  |  B. 14
B  |  (B) \frac{1}{2}
B  |  Option B
B  |  The answer is (B)
\text{(C)}  |  C
\text{Evelyn}  |  Evelyn
\text{even}  |  even
\text{even}  |  Even.
\text{even}  |  \textbf{even}
\text{June 20}  |  June 20
\text{4:30 p.m.}  |  4:30 PM
\text{4:30 p.m.}  |  4:30pm
1:2  |  1 : 2
28\%  |  28%
28\%  |  28 percent
28\%  |  0.28
28\%  |  28
\$18.90  |  18.90
\$18.90  |  18.9 dollars
\$18.90  |  \$18.9
\$1.25  |  $1.25
5\text{ inches}  |  5 in
5\text{ inches}  |  5 inches
12\text{ square units}  |  12
12\text{ square units}  |  12 \text{ units}^2
12\text{ square units}  |  12 square units
440\text{ cm}^2  |  440 cm^2
440\text{ cm}^2  |  440\,\mathrm{cm}^2
440\text{ cm}^2  |  440 cm²
440\text{ cm}^2  |  440 square centimeters
25 \text{ ft}  |  25 feet
45\text{ mph}  |  45 miles per hour
45\text{ mph}  |  45
12  |  12 apples
12  |  12 \text{ km/h}
12 km  |  12 \mathrm{km}
8-i  |  -i+8
8-i  |  8 - 1i
2+3i  |  3i + 2
\begin{pmatrix} 1 \\ 2 \end{pmatrix}  |  \begin{bmatrix}1\\2\end{bmatrix}
\begin{pmatrix} 1/2 & 0 \\ 2 & 1\end{pmatrix}  |  \begin{pmatrix} 0.5 & 0 \\ 2 & 1\end{pmatrix}
4343_6  |  4343_{6}
3 \pm 2\sqrt{2}  |  3+2\sqrt{2}, 3-2\sqrt{2}
2+\sqrt6, 2-\sqrt6  |  2 \pm \sqrt{6}
\pm 3  |  3, -3
\pm 3  |  -3 \text{ and } 3
0.\overline{3}  |  \frac{1}{3}
\frac{1}{3}  |  0.\overline{3}
10,\!080  |  10080
10,\!080  |  10,080
25,\!000  |  25000
\$115,000  |  115000
k = 15  |  15
f(x) = 2x+1  |  2x + 1
f(x) = 2x+1  |  f(x) = 1 + 2x
\cos 58^\circ  |  \sin 32^\circ
\cos 58^\circ  |  cos(58°)
3^{2007}  |  3^{2007}
2^{10}  |  1024
1024  |  2^{10}
5!  |  120
\binom{5}{2}  |  10
-3  |  −3
-3  |  - 3
-\frac{1}{2}  |  \frac{-1}{2}
-\frac{1}{2}  |  -1/2
-\frac{1}{2}  |  -.5
36x\sqrt{35x}  |  36 x \sqrt{35 x}
\frac{270}7\text{ degrees}  |  \frac{270}{7}^\circ
7, -2, \text{ and } -5  |  -5, -2, 7
19 \text{ and }43  |  19, 43
\text{A,D}  |  A, D
\text{A,D}  |  D, A
\text{B, E, G}  |  B,E,G
\emptyset  |  \varnothing
5000000  |  5 million
1.2 million  |  1200000
\{1,2\}  |  {2, 1}
\frac{3}{4}\pi\text{ inches}  |  \frac{3\pi}{4}
16\pi  |  16 \pi \text{ cm}^2
12  |  **12**
12  |  $12$
12  |  \(12\)
12  |  \[12\]
12  |  12.
12  |  \boxed{12}.
12  |  Answer: 12
12  |  x = \boxed{12}
12  |  \text{12}
1,2,3  |  3,2,1
(x-1)(x+2)  |  (x+2)(x-1)
\frac{x+2}{7}  |  (x+2)/7
\frac{c}{a}  |  c/a
10x - 4y - 5z - 20 = 0  |  10x-4y-5z=20
n!  |  n!
\sqrt[3]{2}  |  2^{1/3}
\sqrt[3]{2}  |  \sqrt[3]2
\frac{1}{2004!}  |  1/2004!
\infty  |  \infty
\infty  |  infinity
-\infty  |  -∞
\text{No solution}  |  no solution
True  |  true
4.5  |  4.50
007  |  7
3:4  |  3 : 4
\frac{\sqrt{6}}{3}  |  \sqrt{\frac{2}{3}}
2\tan x  |  2\tan(x)
2\tan x  |  2 tan x
\sin^2 x  |  (\sin x)^2
\frac{1}{y}+y  |  y + \frac{1}{y}
e^{2x}  |  e^{2x}
e^{2x}  |  (e^x)^2
\frac{\pi}{2} + k\pi  |  \pi/2 + k \pi
1000000  |  10^6
12:00  |  12:00
m+2  |  2+m
7.2\%  |  7.2 \%
0.5  |  50\%
5  |  5.000
2^{99}  |  2^{99}
3\sqrt{13}  |  \sqrt{117}
(-a,0)  |  (-a, 0)
A  |  \boxed{A}
12 \text{ gm}  |  12 grams
9\text{ a.m.}  |  9 a.m.
9\text{ a.m.}  |  9 AM
(0,1) \cup (1,2)  |  (0,1) ∪ (1,2)
\{-1\} \cup [0,1]  |  [0,1] \cup \{-1\}
x \neq 3  |  x \neq 3
y = -\frac{1}{4}  |  y=-0.25
\overline{CD}  |  \overline{CD}
\sqrt{67}, -\sqrt{85}  |  -\sqrt{85}, \sqrt{67}
\frac{-1+\sqrt{5}}{2}  |  \frac{\sqrt5-1}{2}
100  |  100\%
\text{C,E}  |  C and E
12  |  $\boxed{12}$ cm
x=3, y=2  |  y=2, x=3
\frac12  |  \boxed{\frac12}
"""
WRONG = r"""
20^\circ \text{C}  |  20 °F
(-\infty,-1) \cup (2,\infty)  |  x < -1 or x \ge 2
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}  |  [[1, 3], [2, 4]]
x  |  X
|a|  |  a
4^x  |  4x
(0,1)\cup(1,2)  |  (0,2)
17  |  17 - 18
17  |  between 17 and 18
90  |  91^\circ
90^\circ  |  90 radians
90^\circ  |  90 cm
1500  |  1.5 \times 10^2
1500  |  1,5
1500  |  1.500
1500  |  15, 00
2.5  |  2 \cdot \frac{1}{2}
2.5  |  2, \frac{1}{2}
2.5  |  2
2.5  |  \frac12
4,5  |  4
4,5  |  4,6
4,5  |  4,5,6
4,5  |  4.5
4,5  |  45
(1,2)  |  (2,1)
(1,2)  |  [1,2]
(1,2)  |  (1,2]
(1,2)  |  1
(1,2)  |  (1,2,3)
[0,1]  |  (0,1)
[0,1]  |  0, 1
[0,\infty)  |  x > 0
[0,\infty)  |  (0,\infty)
[-2,7]  |  -2 \le x < 7
(2,12)\cup(12,102)  |  (2,102)
(2,12)\cup(12,102)  |  (2,12)
2\sqrt{3}  |  2
2\sqrt{3}  |  \sqrt{3}
2\sqrt{3}  |  3\sqrt{2}
2\sqrt{3}  |  -2\sqrt{3}
2\sqrt{3}  |  3.464
2\sqrt{3}  |  2\sqrt{3}, 3
2\sqrt{3}  |  2\sqrt{3} or 2
\frac{\pi}{4}  |  0.785
\pi  |  3.14
\pi  |  3.14159265358979323846264338327950288
1-\frac{1}{e}  |  1
x^2+2x+1  |  x^2+2x
x^2+2x+1  |  x^2-2x+1
y=2x+3  |  y=2x-3
y=2x+3  |  2x
y=2x+3  |  3
y=2x+3  |  x=2y+3
x=5  |  y=5
x=5  |  x=5, y=6
B  |  A
B  |  (A) or (B)
B  |  A, B
B  |  (B) or (C)
B  |  B and C
B  |  AB
B  |  (A) 14
\text{(C)}  |  (C) or (D)
\text{even}  |  odd
\text{even}  |  not even
\text{even}  |  even or odd
\text{odd}  |  even
1:2  |  2:1
10:20  |  1:2
28\%  |  2800
28\%  |  0.0028
28\%  |  28 cm
\$18.90  |  18.90 euros
\$5  |  5 cents
5\text{ inches}  |  5 feet
12\text{ square units}  |  12 units
440\text{ cm}^2  |  440 cm
440\text{ cm}^2  |  440 cm^3
440\text{ cm}^2  |  440 m^2
45\text{ mph}  |  45 km/h
12  |  12 million
12  |  12 hundred
12  |  12 squared
12  |  12x
12x  |  12
12  |  12k
8-i  |  8+i
8-i  |  8
2+3i  |  2+3
3i  |  3
\begin{pmatrix} 1 \\ 2 \end{pmatrix}  |  \begin{pmatrix}2\\1\end{pmatrix}
\begin{pmatrix} 1 \\ 2 \end{pmatrix}  |  \begin{pmatrix}1&2\end{pmatrix}
\begin{pmatrix} 1 \\ 2 \end{pmatrix}  |  \begin{pmatrix}1\\2\\3\end{pmatrix}
\begin{pmatrix} 1 \\ 2 \end{pmatrix}  |  1
4343_6  |  4343_7
4343_6  |  4343
11_2  |  3
3 \pm 2\sqrt{2}  |  3+2\sqrt{2}
3 \pm 2\sqrt{2}  |  3
\pm 3  |  3
0.\overline{3}  |  0.3
\frac{1}{3}  |  0.333
\frac{1}{3}  |  0.3333333333333333
0.\overline{3}  |  0.\overline{4}
3  |  3, 4
3  |  3 4
3  |  3; 4
3  |  3 or 4
3  |  3 and 4
3  |  3/4
3  |  3 = 4
3  |  3 < 4
3  |  {3,4}
3  |  (3,4)
3  |  [3,4]
3  |  3 \cup 4
3  |  \boxed{3}, \boxed{4}
3  |  \boxed{3} \text{ or } \boxed{4}
3  |  4 or \boxed{3}
3  |  $3$ $4$
3  |  3 \neq 4
3  |  3?
3  |  \pm 3
3  |  -3
3  |  3!
3  |  3\approx 2
3  |  1+2
3  |  1 + 1 + 1
3  |  4 - 1
3  |  1 \cdot 3
f(x) = 2x+1  |  2x
f(x) = 2x+1  |  f(x)=2x
\cos 58^\circ  |  \cos 58
\cos 58^\circ  |  \sin 58^\circ
n!  |  n
\ln 2  |  \log 2
\log_2 3  |  \log_3 2
\sqrt[3]{2}  |  \sqrt{2}
\sqrt{x^2}  |  x
\infty  |  -\infty
\text{ACF}  |  CAF
\text{VW}  |  WV
\text{A,D}  |  A
\text{A,D}  |  A, C
x \neq 3  |  x = 3
x \neq 3  |  3
x < 4  |  x > 4
x < 4  |  x \le 4
x < 4  |  4
[5, 7)  |  [5, 7]
1, 2, \ldots, n  |  1, 2, n
\sum_{k=1}^n k  |  \sum_{k=1}^n k^2
\sum_{k=1}^n k  |  k
\frac{2^{2005}+1}{3 \cdot 2^{2006}}  |  \frac{2^{2005}+3}{3 \cdot 2^{2006}}
1.000000001  |  1
14053029.666666666  |  14053029.666666667
1000000000000000000001  |  1000000000000000000000
\frac{\sqrt{2}}{2}  |  \frac{\sqrt{2}}{3}
\text{4:30 p.m.}  |  4:30 a.m.
\text{June 20}  |  June 21
\text{June 20}  |  20
\text{June 20}  |  July 20
9\text{ a.m.}  |  9 p.m.
a=1 \text{ or } a=-2  |  a=1
a=1, b=2  |  a=2, b=1
x_1  |  x_2
\vec{a}  |  \vec{b}
\overline{CD}  |  \overline{AB}
\text{Monday}  |  Monday or Tuesday
7  |  7 minus 1
7  |  7 + 0 or 8
\frac{3}{4}  |  3
\frac{3}{4}  |  4
\frac{3}{4}  |  \frac{4}{3}
\frac{3}{4}  |  3, 4
1 \text{ hour}  |  1 minute
20  |  20\%0
100  |  1
5  |  5.5
5  |  0.5
5  |  5i
e  |  2.718
e  |  2.718281828459045
\sqrt{2}  |  1.41421356237
\sqrt{2}+\sqrt{3}  |  \sqrt{5}
\sqrt{2}+\sqrt{3}  |  \sqrt{2}-\sqrt{3}
(\sqrt{2},\sqrt{3})  |  (\sqrt{3},\sqrt{2})
2^{2025}  |  2^{2024}
-221_3  |  221_3
0.1  |  .01
\frac{11+9a}{20}  |  \frac{11+9b}{20}
\frac{c}{a}  |  \frac{a}{c}
1,000  |  1
1,000  |  1, 0
\{1,2\}  |  \{1\}
\{1,2\}  |  \{1,2,3\}
\{1,2\}  |  (1,2)
\{1,2\}  |  [1,2]
25 \text{ ft}  |  25 m
3 + 5i  |  3 - 5i
3+5i  |  8i
72  |  7 2
72  |  72 or so 73
4  |  \sqrt{16} or 3
(3,4) \cup (5,6)  |  (3,4) \cap (5,6)
(3,4) \cup (5,6)  |  (3,4], (5,6)
x^2  |  x^3
x^{10}  |  x^1 0
(1,2)  |  y=1, x=2
x=3, y=2  |  2, 3
4  |  x = \boxed{4} or 5
4  |  3 or \boxed{4}
4  |  it is 3, or $\boxed{4}$
4  |  \boxed{4}, 5
4  |  \boxed{4} or 5
4  |  \boxed{4} and 5
4  |  so it is \boxed{4}, or 5
4  |  either $\boxed{4}$ or $\boxed{5}$.
"""


def pairs(*tables):
    return [tuple(line.split("  |  ")) for table in tables for line in table.strip().splitlines()]


@pytest.mark.parametrize(("gold", "given"), pairs(REPORTED_RIGHT, RIGHT))
def test_another_notation_of_the_answer_is_right(gold, given):
    assert agree(only_answer(given), final_answer(gold))


@pytest.mark.parametrize(("gold", "given"), pairs(REPORTED_WRONG, WRONG))
def test_a_neighbour_of_the_answer_is_wrong(gold, given):
    assert not agree(only_answer(given), final_answer(gold))


@pytest.mark.parametrize(("gold", "given"), pairs(REPORTED_RIGHT, RIGHT))
def test_what_is_right_is_right_the_other_way_round(gold, given):
    if given not in ONE_WAY:
        assert agree(only_answer(gold), final_answer(given))


@pytest.mark.parametrize(("gold", "given"), pairs(REPORTED_RIGHT, RIGHT))
def test_an_answer_listed_beside_another_is_wrong(gold, given):
    for listed in (f"{given} or 918273", f"918273, {given}", rf"\boxed{{{given}}} \boxed{{918273}}"):
        assert not agree(only_answer(listed), final_answer(gold))


def test_a_worked_solution_wants_its_last_answer():
    assert final_answer("5 + 5 = <<5+5=10>>10 eggs, then 1,0{2}5.\n#### 1,025") == "1,025"
    assert final_answer(r"So $x=\boxed{3}$, no: $\boxed{\frac{1}{2}}$ of it.") == r"\frac{1}{2}"
    assert only_answer("5 + 5 = 10\n#### 10") == "10"
    assert only_answer(r"so x = 2+6, hence \boxed{8}") == "8"
    assert only_answer("#### 10\n#### 11") == "#### 10 #### 11"


@pytest.mark.parametrize(
    "text", [r"2^{\aleph_0}", r"1, 2, \ldots, n", r"\sum_{k=1}^n k", "3 4", r"\frac{1}", "x^", "((((", "word"]
)
def test_what_is_not_read_whole_is_not_read(text):
    assert not is_read(text)


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}",
        "9^" * 200 + "9",
        "(" * 400 + "1" + ")" * 400,
        "1+" * 450 + "1",
        r"\boxed{" * 5000,
        "{" * 9000,
        r"\sqrt{" * 300 + "2" + "}" * 300,
        "9999999!",
        "1e9999",
        r"\exp(10^{9})",
        "$" * 4000,
        "1," * 400 + "1",
    ],
)
def test_no_text_harms(text):
    assert agree(only_answer(text), final_answer("4")) is False
    assert agree(only_answer("4"), final_answer(text)) is False


def test_no_formula_is_taken_for_another_because_both_are_small_or_large():
    assert not agree(r"\frac{\pi}{2006!}", r"\frac{\pi}{2004!}")
    assert not agree(r"\sqrt{2} + 10^{-80}", r"\sqrt{2}")
    assert not agree(r"10^{300} + \pi", r"10^{300} + \sqrt{2}")
    assert agree(r"\frac{\pi \cdot 2006}{2006!}", r"\frac{\pi}{2005!}")


def test_a_formula_is_read_beside_its_words(tmp_path):
    explain = load_script(ROOT / "rewards/correct.py").explain
    assert explain("<answer>2^{\\aleph_0}</answer>", "2") == (
        "the answer is 2^{\\aleph_0}, wanted 2 (no formula, compared as text)"
    )
    assert explain("<answer>3</answer>", "2") == "the answer is 3, wanted 2"


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  "])
def test_a_row_without_an_answer_is_left_out(missing):
    score = load_script(ROOT / "rewards/correct.py").score
    assert score(["<answer>4</answer>"], [missing]) == [None]


ONE_WAY = {"b", "120", "10", "(B) 14", "B. 14", r"(B) \frac{1}{2}", "[4, 5]"}
"""Notations that are right as given only."""
