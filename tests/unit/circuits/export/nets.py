"""Small torch modules, exportable and not. Import this after `pytest.importorskip("torch")`."""

import torch
from torch import nn
from torch.nn import functional


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.hidden = nn.Linear(4, 6)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(6, 3)

    def forward(self, image):
        return self.last(self.drop(torch.relu(self.hidden(image))))


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.last = nn.Linear(3, 2)

    def forward(self, image):
        image = functional.max_pool2d(torch.relu(self.norm(self.conv(image))), 2)
        return self.last(functional.avg_pool2d(image, 4).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.bend = nn.GELU()

    def forward(self, tokens):
        tokens = self.norm(tokens)
        return tokens + self.bend(self.attention(tokens, tokens, tokens, need_weights=False)[0])


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixed = nn.Linear(8, 24)

    def forward(self, tokens):
        query, key, value = self.mixed(tokens).reshape(1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


class Filled(nn.Module):
    def forward(self, tokens):
        later = torch.triu(torch.ones(5, 5), 1).bool()
        scores = (tokens @ tokens.transpose(1, 2)).masked_fill(later, float("-inf"))
        return torch.softmax(scores, -1) @ tokens


class Padded(nn.Module):
    """Attends to the places that an input keeps, as transformers write it."""

    def forward(self, tokens, kept):
        hidden = (1.0 - kept[:, None, :].float()) * torch.finfo(torch.float32).min
        return torch.softmax(tokens @ tokens.transpose(1, 2) + hidden, -1) @ tokens


class Showing(nn.Module):
    """Returns its mask, which no circuit holds."""

    def forward(self, tokens):
        return (tokens @ tokens.transpose(1, 2)).masked_fill(torch.eye(5).bool(), float("-inf")).relu()


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 5, batch_first=True)

    def forward(self, series):
        answers, (state, memory) = self.cell(series)
        return answers[:, -1], state, memory


class Several(nn.Module):
    """Its output keys equal names that the exporter generates internally."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.b = nn.Linear(4, 2)

    def forward(self, left, right):
        a, b = self.a(left), self.b(right)
        return {"relu": torch.relu(a) + b, "linear": a * b, "a.weight": a - b}


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, tokens):
        return self.table(tokens).mean(1)


class Impossible(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(1, 2, 3, dilation=2)])
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, image):
        return self.up(self.blocks[0](image))


class Branching(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - 1


class Numbering(nn.Module):
    def forward(self, x):
        return x * float(x.sum())


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x + 0 * self.calls


class Failing(nn.Module):
    def forward(self, x):
        raise KeyError("no such layer")


class Leaving(nn.Module):
    def forward(self, x):
        raise SystemExit(3)


class Talking(nn.Module):
    def forward(self, x):
        return x * 2, "two"


class Empty(nn.Module):
    def forward(self, x):
        return None


class FixedBatch(nn.Module):
    def forward(self, x):
        return x.reshape(2, 3) * 2


class Rms(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(4)

    def forward(self, x):
        return self.norm(x)


class HalfDeaf(nn.Module):
    def forward(self, x, y):
        return x * 2


class Twice(nn.Module):
    def forward(self, x):
        y = x * 2
        return y, y


class Adding(nn.Module):
    def forward(self, *xs):
        return sum(xs)
