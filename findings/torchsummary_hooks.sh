#!/usr/bin/env bash
# torchsummary 1.5.1 leaves a network broken when it cannot summarise it.
#
# A layer that gives a tuple of tuples, such as nn.LSTM, is more than its table can hold: summary()
# raises an AttributeError. But it has put a hook on every layer and does not take them off then, so
# that from here on the network itself raises the same error in each forward pass, in training too.
# One would expect a look at a network to leave it as it was.
#
# Seen: AttributeError from summary(); the forward pass, which had worked, raises it as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.14.1 torchsummary==1.5.1 numpy==2.4.6
cd "$folder"
env/bin/python - << 'PYTHON'
import torch
from torch import nn
from torchsummary import summary


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(28, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, x):
        return self.linear(self.lstm(x)[0][:, -1])


net, images = Rows(), torch.zeros(2, 28, 28)
print("before:", tuple(net(images).shape))
try:
    summary(net, (28, 28), device="cpu")
except AttributeError as error:
    print("torchsummary 1.5.1:", error)
else:
    raise SystemExit("summary() does not fail any more")
try:
    net(images)
except AttributeError as error:
    print("after, in the network's own forward pass:", error)
else:
    raise SystemExit("the hooks are taken off now")
PYTHON
