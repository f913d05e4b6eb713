"""The plain version: a DataLoader-free loop as a textbook has it, one sample gathered at a time.

It shares nothing with the engine but the order of the batches, which it makes itself.
"""

import math

import torch
import torch.nn.functional as F

from limbeck.core.seeds import derive_seed


def plain_transfer(student, teacher, inputs, labels, *, temperature, weight, training, seed):
    """Distil with the teacher evaluated anew in every step."""
    optimizer = torch.optim.SGD(
        student.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
    )
    num_steps = training.epochs * math.ceil(len(inputs) / training.batch_size)
    step = 0
    student.train()
    teacher.eval()
    for epoch in range(training.epochs):
        generator = torch.Generator().manual_seed(derive_seed(seed, "batches", epoch))
        order = torch.randperm(len(inputs), generator=generator).tolist()
        for start in range(0, len(order), training.batch_size):
            ids = order[start : start + training.batch_size]
            x = torch.stack([inputs[i] for i in ids]).contiguous(memory_format=torch.channels_last)
            y = torch.stack([labels[i] for i in ids])
            if training.schedule == "cosine":
                for group in optimizer.param_groups:
                    group["lr"] = training.lr * (1 + math.cos(math.pi * step / num_steps)) / 2
            with torch.no_grad():
                z_t = teacher(x)
            z_s = student(x)
            soft = F.kl_div(
                F.log_softmax(z_s / temperature, 1),
                F.log_softmax(z_t / temperature, 1),
                log_target=True,
                reduction="batchmean",
            )
            loss = (1 - weight) * F.cross_entropy(z_s, y) + weight * temperature**2 * soft
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return student.eval()
