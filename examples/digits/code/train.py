"""Trains softmax regression on 8x8 images of handwritten digits; needs nothing but Python 3.7 or newer.

Reads `digits.csv` or `digits.csv.gz` below --data_url (64 pixels of 0..16 and the label a line), holds one image in five
out for testing, and writes `model.json` and `metrics.json` to --train_url.
"""

import argparse
import csv
import gzip
import io
import json
import math
import os
import random
import time

CLASSES = 10
PIXELS = 64
BRIGHTEST = 16.0
TEST_SHARE = 0.2
BATCH = 16


def main():
    options = parse_options()
    images, labels = read_images(find_data(options.data_url))
    train, test = split(len(images), options.seed)
    print(f"images: {len(images)}, train: {len(train)}, test: {len(test)}", flush=True)

    weights = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    history = []
    started = time.monotonic()
    shuffler = random.Random(options.seed)
    for epoch in range(1, options.epochs + 1):
        shuffler.shuffle(train)
        loss = run_epoch(weights, images, labels, train, options.learning_rate)
        accuracy = evaluate(weights, images, labels, test)[0]
        history.append((epoch, loss, accuracy))
        print(f"epoch {epoch}/{options.epochs} loss {loss:.4f} test_accuracy {accuracy:.4f}", flush=True)
    seconds = time.monotonic() - started

    accuracy, confusion = evaluate(weights, images, labels, test)
    os.makedirs(options.train_url, exist_ok=True)
    write_json(os.path.join(options.train_url, "model.json"), model_document(weights, accuracy, len(train), len(test)))
    write_json(os.path.join(options.train_url, "metrics.json"), metrics_document(history, accuracy, confusion))
    print(f"trained {options.epochs} epochs in {seconds:.1f} s", flush=True)
    print(f"test accuracy: {accuracy:.4f}", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description="Softmax regression on handwritten digits")
    parser.add_argument("--data_url", required=True, help="folder (or file) of the data")
    parser.add_argument("--train_url", required=True, help="folder for the model and the metrics")
    parser.add_argument("--epochs", type=positive(int), default=20, help="passes over the training images (20)")
    parser.add_argument("--learning_rate", type=positive(float), default=0.5, help="step size (0.5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and of the order of images (0)")
    # ModelArts adds arguments of its own, such as --init_method.
    options, unknown = parser.parse_known_args()
    if unknown:
        print(f"ignored arguments: {unknown}", flush=True)
    return options


def positive(kind):
    def convert(text):
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value

    convert.__name__ = kind.__name__
    return convert


def find_data(place):
    """The data file at `place`, or the only one anywhere below it."""
    if os.path.isfile(place):
        return place
    found = []
    for folder, _, names in os.walk(place):
        found += [os.path.join(folder, name) for name in names if name in ("digits.csv", "digits.csv.gz")]
    if len(found) != 1:
        raise SystemExit(f"expected one digits.csv or digits.csv.gz below {place}, found {len(found)}")
    return found[0]


def read_images(path):
    """Images as lists of 64 brightnesses in 0..1 and a constant 1 (the bias), and their labels."""
    with open(path, "rb") as stream:
        content = stream.read()
    if path.endswith(".gz"):
        content = gzip.decompress(content)
    images, labels = [], []
    for number, row in enumerate(csv.reader(io.StringIO(content.decode("ascii"))), start=1):
        if len(row) != PIXELS + 1:
            raise SystemExit(f"{path}, line {number}: {len(row)} columns instead of {PIXELS + 1}")
        images.append([int(float(value)) / BRIGHTEST for value in row[:PIXELS]] + [1.0])
        labels.append(int(float(row[PIXELS])))
    if not images:
        raise SystemExit(f"{path} is empty")
    return images, labels


def split(count, seed):
    """Two disjoint lists of indices, for training and testing; the same seed gives the same lists."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    held_out = int(count * TEST_SHARE)
    return order[held_out:], order[:held_out]


def run_epoch(weights, images, labels, indices, learning_rate):
    """One pass of mini-batch gradient descent over `indices`; returns the mean loss."""
    total = 0.0
    for start in range(0, len(indices), BATCH):
        batch = indices[start : start + BATCH]
        gradients = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
        for index in batch:
            image = images[index]
            shares = softmax(weights, image)
            total -= math.log(max(shares[labels[index]], 1e-12))
            shares[labels[index]] -= 1.0
            for digit, error in enumerate(shares):
                gradients[digit] = [value + error * pixel for value, pixel in zip(gradients[digit], image)]
        step = learning_rate / len(batch)
        for digit in range(CLASSES):
            weights[digit] = [value - step * slope for value, slope in zip(weights[digit], gradients[digit])]
    return total / len(indices)


def softmax(weights, image):
    scores = [sum(weight * pixel for weight, pixel in zip(row, image)) for row in weights]
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def evaluate(weights, images, labels, indices):
    """Share of right answers, and the counts of answers (columns) for each label (rows)."""
    confusion = [[0] * CLASSES for _ in range(CLASSES)]
    for index in indices:
        shares = softmax(weights, images[index])
        confusion[labels[index]][shares.index(max(shares))] += 1
    right = sum(confusion[digit][digit] for digit in range(CLASSES))
    return right / len(indices), confusion


def model_document(weights, accuracy, train_count, test_count):
    return {
        "kind": "softmax regression",
        "classes": CLASSES,
        "pixels": PIXELS,
        "brightest": BRIGHTEST,
        "train_images": train_count,
        "test_images": test_count,
        "test_accuracy": accuracy,
        "weights": [row[:PIXELS] for row in weights],
        "biases": [row[PIXELS] for row in weights],
    }


def metrics_document(history, accuracy, confusion):
    """The metric file of ModelArts: a list of {key, title, type, data}."""
    epochs = {"title": "epoch", "value": [epoch for epoch, _, _ in history]}
    digits = [str(digit) for digit in range(CLASSES)]
    return [
        {"key": "test_accuracy", "title": "Test accuracy", "type": "float", "data": {"value": accuracy}},
        {
            "key": "loss",
            "title": "Training loss",
            "type": "line chart",
            "data": {"x_axis": [epochs], "y_axis": [{"title": "loss", "value": [loss for _, loss, _ in history]}]},
        },
        {
            "key": "accuracy",
            "title": "Test accuracy of each epoch",
            "type": "line chart",
            "data": {"x_axis": [epochs], "y_axis": [{"title": "accuracy", "value": [value for _, _, value in history]}]},
        },
        {
            "key": "confusion_matrix",
            "title": "Confusion matrix",
            "type": "table",
            "data": {
                "cell_value": confusion,
                "col_labels": {"title": "answer", "value": digits},
                "row_labels": {"title": "label", "value": digits},
            },
        },
    ]


def write_json(path, document):
    """Writes under a temporary name first: outputs are copied while the job runs."""
    with open(path + ".part", "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
