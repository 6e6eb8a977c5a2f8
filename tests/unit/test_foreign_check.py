"""Hostile exported models: refused with a sentence, and nothing of them runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.learning import foreign, foreign_archive, foreign_check, foreign_ops
from omninode.learning.foreign_archive import ForeignError
from omninode.learning.foreign_graph import Graph
from tests.unit import foreign_kit as kit

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data() -> bytes:
    torch.manual_seed(0)
    return kit.export(kit.Small(), torch.zeros(2, 1, 8, 8))


def refused(data: bytes, says: str) -> None:
    with pytest.raises(ForeignError, match=says):
        Graph(foreign_check.read(data))


def refused_changed(data: bytes, change: Callable[[Any], Any], says: str, name: str = kit.GRAPH) -> None:
    refused(kit.changed(data, name, change), says)


def test_the_honest_file_is_read(data: bytes) -> None:
    exported = foreign_check.read(data)
    assert [name for name, _ in exported.layout] == [
        "conv.weight", "conv.bias", "norm.weight", "norm.bias", "fc.weight", "fc.bias",
    ]  # fmt: skip
    assert exported.shape == (1, 8, 8) and not exported.integers
    assert list(exported.constants) == ["b_scale"]
    assert exported.initial.shape == (sum(int(np.prod(shape)) for _, shape in exported.layout),)


# -- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 1, 30, 1000, -1, -30, -400])
def test_truncated(data: bytes, keep: int) -> None:
    refused(data[:keep], "no torch.export file|damaged|does not belong")


def test_compressed_bombs_are_not_unpacked(data: bytes) -> None:
    files = {**kit.entries(data), "extra/bomb": bytes(1 << 24)}
    refused(kit.archive(files, zipfile.ZIP_DEFLATED), "compressed")


def test_entries_that_overlap(data: bytes) -> None:
    """Each entry of the directory points at the same bytes: a bomb without compression."""
    files = kit.entries(data)
    raw = bytearray(kit.archive({**files, "extra/a": bytes(1 << 16), "extra/b": b"b"}))
    at = raw.rindex(b"archive/extra/b") - 46
    assert raw[at : at + 4] == b"PK\x01\x02"
    struct.pack_into("<II", raw, at + 20, len(raw), len(raw))
    refused(bytes(raw), "together larger")


def test_many_entries(data: bytes) -> None:
    files = {**kit.entries(data), **{f"extra/{i}": b"" for i in range(foreign_archive.MAX_ENTRIES)}}
    refused(kit.archive(files), "expected 1 to 2048 entries")


@pytest.mark.parametrize(
    "end, far",
    [
        ((60_000, 100), None), ((3, 60_000 * 49), None), ((3, 100), (60_000, 100)), ((3, 100), (3, 1 << 40)),
        ((0xFFFF, 0xFFFFFFFF), (3, 100)),
    ],
)  # fmt: skip
def test_a_large_directory_is_not_even_read(
    monkeypatch: pytest.MonkeyPatch, end: tuple[int, int], far: tuple[int, int] | None
) -> None:
    """Each line of it would become an object of half a kilobyte."""
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("read"))
    lines = b"PK\1\2" + bytes(200)
    if far:
        lines += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, far[0], far[0], far[1], 0)
        lines += struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, end[0], end[0], end[1], 0, 0)
    refused(lines + ending, "too large a directory")


def test_a_comment_that_hides_where_the_directory_is(data: bytes) -> None:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as made:
        made.comment = b"x"
    refused(buffer.getvalue(), "does not end in a directory")


def test_copies_of_one_tensor(data: bytes) -> None:
    """Each line of the list would become a copy: 300 lines of one megabyte are 300 megabytes."""

    def change(raw: Any) -> None:
        raw["config"] = {f"t{i}": {**raw["config"]["conv.weight"], "is_param": False} for i in range(300)}

    refused_changed(data, change, "each needs its own", kit.WEIGHTS)

    def many(raw: Any) -> None:
        raw["config"] = {f"t{i}": {"path_name": f"weight_{i}"} for i in range(foreign_archive.MAX_TENSORS + 1)}

    refused_changed(data, many, "1025 weights, more than 1024", kit.WEIGHTS)


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07.weight", "conv\nnorm", "caf\xe9"])
def test_names_that_are_not_printable(data: bytes, name: str) -> None:
    def change(raw: Any) -> None:
        raw["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = name

    refused_changed(data, change, "printable ASCII")
    refused_changed(data, lambda raw: raw["config"].update({name: raw["config"].pop("conv.weight")}), "printable",
                    kit.WEIGHTS)  # fmt: skip


@pytest.mark.parametrize("name", ["../../evil", "extra/../../evil", "extra//evil", "data/aotinductor/model/run.so",
                                  "models/other.json", "version", "data/executorch/x"])  # fmt: skip
def test_names_that_do_not_belong(data: bytes, name: str) -> None:
    refused(kit.archive({**kit.entries(data), name: b"x"}), "strange name|does not belong")


def test_two_roots_and_twice_the_same(data: bytes) -> None:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as made:
        made.writestr("other/extra/x", b"")
    refused(buffer.getvalue(), "strange name")
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as made, pytest.warns(UserWarning, match="Duplicate"):
        made.writestr("archive/models/model.json", b"{}")
    refused(buffer.getvalue(), "twice")


def test_nested(data: bytes) -> None:
    refused(kit.archive({"models/model.json": data}), "lacks archive_format")
    refused(kit.archive({**kit.entries(data), kit.GRAPH: data}), "cannot be read")


def test_other_formats(data: bytes) -> None:
    buffer = io.BytesIO()
    torch.save(kit.Small().state_dict(), buffer)
    refused(buffer.getvalue(), "does not belong|strange name")
    refused(b"\x80\x02}q\x00.", "no torch.export file")
    files = kit.entries(data)
    refused(kit.archive({**files, "archive_version": b"1"}), "torch 2.13")
    refused(kit.archive({**files, "byteorder": b"big"}), "byteorder")


def test_larger_than_allowed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(foreign_archive, "MAX_FILE", 1000)
    refused(data, "more than 1000")


# -- pickles ----------------------------------------------------------------------------------------------------------


def test_a_pickle_in_every_entry_runs_nothing(data: bytes, tmp_path: Path) -> None:
    made = tmp_path / "made"
    files = kit.entries(data)
    places = [*files, "data/weights/model.pt", "data/constants/model.pt", "extra/x", "data/constants/custom_obj_0"]
    for name in places:
        for pickled in (kit.malicious(made), kit.malicious_plain(made)):
            with contextlib.suppress(ForeignError):
                Graph(foreign_check.read(kit.archive({**files, name: pickled})))
            assert not made.exists(), name


def test_the_same_file_runs_in_torchs_own_loader(data: bytes, tmp_path: Path) -> None:
    """Why torch.export.load is not used: it falls back to a full unpickling of the sample inputs."""
    made = tmp_path / "made"
    hostile = kit.archive({**kit.entries(data), kit.SAMPLES: kit.malicious(made)})
    assert foreign_check.read(hostile).layout == foreign_check.read(data).layout
    assert not made.exists()
    with contextlib.suppress(Exception):
        torch.export.load(io.BytesIO(hostile))
    assert made.exists()


@pytest.mark.parametrize("name, key", [(kit.WEIGHTS, "conv.weight"), (kit.WEIGHTS, "scale")])
def test_tensors_kept_as_pickles(data: bytes, tmp_path: Path, name: str, key: str) -> None:
    made = tmp_path / "made"

    def change(raw: Any) -> None:
        raw["config"][key]["use_pickle"] = True

    files = kit.entries(kit.changed(data, name, change))
    files[f"data/weights/{json.loads(files[name])['config'][key]['path_name']}"] = kit.malicious(made)
    refused(kit.archive(files), "nothing is unpickled")
    assert not made.exists()


def test_objects_as_constants(data: bytes) -> None:
    meta = json.loads(kit.entries(data)[kit.WEIGHTS])["config"]["scale"]
    for file in ("custom_obj_0", "opaque_obj_0", "../../models/model.json"):
        refused_changed(data, lambda raw, f=file: raw["config"].update(x={**meta, "path_name": f}), "nothing is unp",
                        kit.CONSTANTS)  # fmt: skip


# -- graphs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system", "torch.load", "torch.ops.aten.as_strided.default", "torch.ops.aten.empty.memory_format",
        "torch.ops.aten.from_file.default", "torch.ops.aten.bernoulli.default", "torch.ops.aten.item.default",
        "torch.ops.aten.set_.source_Storage", "torch.ops.higher_order.cond", "torch.ops.mylib.op.default", "#x:y",
        "_operator.setitem", "_operator.attrgetter", "math.trunc", "torch.ops.aten.relu", "relu.default",
        "torch.ops.aten.__class__.default", "torch.ops.aten.lstm.input",
    ],
)  # fmt: skip
def test_operators_off_the_list(data: bytes, target: str) -> None:
    refused_changed(data, lambda raw: kit.nodes(raw)[0].update(target=target), "which is not allowed")


def test_arguments_of_other_kinds(data: bytes) -> None:
    for arg in ({"as_operator": "torch.os.system"}, {"as_graph": {}}, {"as_custom_obj": {}}, {"as_complex": 1}):
        refused_changed(
            data, lambda raw, a=arg: kit.nodes(raw)[0]["inputs"][0].update(arg=a), "an argument of the kind"
        )


def test_expressions_are_never_evaluated(data: bytes, tmp_path: Path) -> None:
    """torch.export.load gives them to sympy's parser, which evaluates Python."""
    made = tmp_path / "made"
    said = f"__import__('os').mkdir({str(made)!r})"

    def change(raw: Any) -> None:
        graph = raw["graph_module"]["graph"]
        for meta in graph["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = said
        raw["guards_code"] = [said]
        raw["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = said

    assert Graph(foreign_check.read(kit.changed(data, kit.GRAPH, change))).classes == 10
    assert not made.exists()


def test_huge_numbers(data: bytes) -> None:
    def sized(*sizes: int) -> Callable[[Any], None]:
        def change(raw: Any) -> None:
            node = next(node for node in kit.nodes(raw) if "view" in node["target"])
            node.update(target="torch.ops.aten.repeat.default")
            node["inputs"][1] = {"name": "repeats", "arg": {"as_ints": list(sizes)}, "kind": 1}

        return change

    refused_changed(data, sized(1 << 20, 1 << 20, 1, 1), "more than")
    refused_changed(data, sized(1 << 62, 1 << 62, 4, 4), "does not run|more than")
    refused_changed(data, sized(1 << 70, 1, 1, 1), "where a number should be")
    refused_changed(data, sized(*[1] * 5000), "a list of 5000")
    raw = kit.entries(data)
    refused(kit.archive({**raw, kit.GRAPH: b'{"a":' + b"9" * 10_000 + b"}"}), "cannot be read")
    for hidden in (b"", b'"]]]"', b'"\\"]"', b"]" * 3):  # closing brackets in texts close nothing
        deep = (b"[" * 50 + hidden + b",") * 4_000
        refused(kit.archive({**raw, kit.GRAPH: deep}), "in one another")


def test_sizes_that_grow_without_bound(data: bytes) -> None:
    """Squaring a size again and again would make a number of 2**30 bits."""

    def change(raw: Any) -> None:
        last = kit.nodes(raw)[0]["outputs"][0]["as_sym_int"]["as_name"]
        more = []
        for i in range(40):
            args = [{"name": n, "arg": {"as_sym_int": {"as_name": last}}, "kind": 1} for n in "ab"]
            more.append({"target": "_operator.mul", "inputs": args, "outputs": [{"as_sym_int": {"as_name": f"q{i}"}}]})
            last = f"q{i}"
        kit.nodes(raw)[1:1] = more

    assert "sym_size" in json.loads(kit.entries(data)[kit.GRAPH])["graph_module"]["graph"]["nodes"][0]["target"]
    refused_changed(data, change, "63-bit")


@pytest.mark.parametrize(
    "arg", [{"as_string": "A"}, {"as_ints": [1]}, {"as_tensor": {"name": "p_conv_bias"}}, {"as_float": 1.5},
            {"as_bool": True}, {"as_none": True}]
)  # fmt: skip
def test_integer_operators_work_on_integers_alone(data: bytes, arg: Any) -> None:
    """A text times 2**29 would be half a gigabyte."""

    def change(raw: Any) -> None:
        args = [{"name": "a", "arg": arg}, {"name": "b", "arg": {"as_int": 1 << 29}}]
        step = {"target": "_operator.mul", "inputs": args, "outputs": [{"as_sym_int": {"as_name": "q"}}]}
        kit.nodes(raw).insert(0, step)

    refused_changed(data, change, "works on sizes|size that is no number")


def test_samples_of_impossible_size(data: bytes) -> None:
    for size in (0, -1, 1 << 30):

        def change(raw: Any, size: int = size) -> None:
            raw["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][2] = {"as_int": size}

        refused_changed(data, change, "may be dynamic|one sample of the exported model")


def test_too_many_steps(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(foreign_check, "MAX_STEPS", 3)
    refused(data, "steps, more than 3")


def test_tensors_beyond_the_file(data: bytes) -> None:
    def meta(raw: Any) -> Any:
        return raw["config"]["conv.weight"]["tensor_meta"]

    for change in (
        lambda raw: meta(raw)["sizes"][0].update(as_int=5),
        lambda raw: meta(raw)["strides"][0].update(as_int=1 << 30),
        lambda raw: meta(raw)["storage_offset"].update(as_int=1),
        lambda raw: meta(raw)["strides"][0].update(as_int=-1),
        lambda raw: meta(raw)["sizes"][0].update(as_int=1 << 62),
    ):
        refused_changed(data, change, "reaches beyond|larger than|no small number", kit.WEIGHTS)
    refused_changed(data, lambda raw: meta(raw).update(dtype=8), "not made of float32", kit.WEIGHTS)


def test_writing_into_what_is_shared(data: bytes) -> None:
    def parameter(raw: Any) -> None:
        node = next(n for n in kit.nodes(raw) if n["target"].endswith("relu_.default"))
        node["inputs"][0]["arg"]["as_tensor"]["name"] = "p_conv_weight"

    refused_changed(data, parameter, "leave out inplace")


def test_buffers_that_change(data: bytes) -> None:
    def change(raw: Any) -> None:
        raw["graph_module"]["signature"]["output_specs"].append({"buffer_mutation": {"arg": {}, "buffer_name": "b"}})

    refused_changed(data, change, "use GroupNorm")


def test_names_and_order_of_the_graph(data: bytes) -> None:
    refused_changed(data, lambda raw: kit.nodes(raw).reverse(), "before it is made")
    refused_changed(data, lambda raw: kit.nodes(raw).append(kit.nodes(raw)[0]), "twice")
    refused_changed(data, lambda raw: raw["graph_module"].pop("graph"), "not as torch.export writes it")
    refused_changed(data, lambda raw: raw["schema_version"].update(major=7), "another version")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_changed_the_answer_is_a_model_or_a_sentence(data: bytes, draw: st.DataObject) -> None:
    """Any one value of the graph's JSON replaced by any other."""
    files = kit.entries(data)
    name = draw.draw(st.sampled_from([kit.GRAPH, kit.WEIGHTS, kit.CONSTANTS]))
    raw = json.loads(files[name])
    at, parents = raw, []
    while isinstance(at, dict | list) and at:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw.draw(st.sampled_from(keys))
        parents.append((at, key))
        at = at[key]
        if len(parents) > 3 and draw.draw(st.booleans()):
            break
    holder, key = parents[-1]
    holder[key] = draw.draw(
        st.sampled_from([None, True, 0, -1, 1 << 40, 1.5, "", "x", "torch.os.system", [], {}, [[]], {"as_int": 3}])
    )
    with contextlib.suppress(ForeignError):
        Graph(foreign_check.read(kit.archive({**files, name: json.dumps(raw).encode()})))


def test_every_allowed_operator_is_one_of_torch() -> None:
    for name in foreign_ops.ATEN | set(foreign_ops.IN_PLACE):
        packet, _, overload = name.partition(".")
        schema = getattr(getattr(torch.ops.aten, packet), overload)._schema
        written = {
            argument.name for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write
        }
        assert written == ({"self"} if name in foreign_ops.IN_PLACE else set()), name
    assert set(foreign_ops.IN_PLACE.values()) | foreign_ops.VIEWS | foreign_ops.RUNNING_STATISTICS <= foreign_ops.ATEN


def test_kernels_refuse_arguments_that_reach_outside() -> None:
    """No allowed operator trusts the numbers of a graph with memory: each of these raises, none of them crashes."""
    x, one, aten = torch.randn(2, 4, 3, 3), torch.ones(4, 4, 1, 1), torch.ops.aten
    for name, *arguments in (
        ("native_group_norm.default", x, None, None, 1000, 4, 9, 2, 1e-5),
        ("native_group_norm.default", x, None, None, 2, 4, 9, 0, 1e-5),
        ("native_group_norm.default", x, torch.ones(400), None, 2, 4, 9, 2, 1e-5),
        ("native_layer_norm.default", x, [3], torch.ones(300), None, 1e-5),
        ("group_norm.default", x, 0), ("rms_norm.default", x, [3], torch.ones(300)),
        ("batch_norm.default", x, torch.ones(1), None, None, None, True, 0.1, 1e-5, False),
        ("instance_norm.default", x, torch.ones(1), None, None, None, True, 0.1, 1e-5, False),
        ("_unsafe_view.default", x, [1000]), ("pixel_shuffle.default", x, -2), ("pixel_unshuffle.default", x, 0),
        ("avg_pool2d.default", x, [2, 2], [0, 0]), ("avg_pool2d.default", x, [2, 2], [1, 1], [0, 0], False, True, 0),
        ("max_pool2d.default", x, [2, 2], [1, 1], [0, 0], [-5, 0]), ("max_pool2d.default", x, [2, 2], [1, 1], [-1, -1]),
        ("avg_pool3d.default", x, [2, 2, 2], [0, 0, 0]), ("adaptive_avg_pool2d.default", x, [-3, 2]),
        ("conv2d.default", x, one, None, [0, 0]), ("conv2d.default", x, one, None, [1, 1], [-1, -1]),
        ("conv2d.default", x, one, None, [1, 1], [0, 0], [1, 1], 0),
        ("conv_transpose2d.input", x, one, None, [1, 1], [0, 0], [5, 5]),
        ("embedding.default", torch.ones(3, 2), torch.tensor([7])),
        ("embedding.default", torch.ones(3, 2), torch.tensor([-1])),
        ("gather.default", x, 0, torch.full((2, 4, 3, 3), 9)), ("index_select.default", x, 0, torch.tensor([-9])),
        ("reflection_pad2d.default", x, [5, 5, 5, 5]), ("replication_pad2d.default", x, [-9, 0, 0, 0]),
        ("constant_pad_nd.default", x, [-9, 0]), ("upsample_nearest2d.vec", x, None, [1e-9, float("inf")]),
        ("upsample_bilinear2d.vec", x, None, False, [float("nan"), 1e30]), ("repeat_interleave.self_int", x, -4),
        ("split.Tensor", x, 0), ("chunk.default", x, 0), ("prelu.default", x, torch.ones(3)),
        ("scaled_dot_product_attention.default", x, torch.randn(2, 4, 7, 3), torch.randn(2, 4, 7, 3), torch.ones(2, 2)),
    ):  # fmt: skip
        packet, _, overload = name.partition(".")
        assert name in foreign_ops.ATEN
        with pytest.raises((RuntimeError, IndexError)):
            getattr(getattr(aten, packet), overload)(*arguments)


# -- against the document ---------------------------------------------------------------------------------------------


def test_held_against_the_document(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    file.write_bytes(data)
    model, _ = foreign.describe_export(file)
    assert (model.source, model.size) == (hashlib.sha256(data).hexdigest(), len(data))
    foreign.load(model, file)
    for other, says in (
        (replace(model, source="0" * 64), "SHA-256 differs"),
        (replace(model, size=len(data) + 1), "SHA-256 differs"),
        (replace(model, size=10), "more than 10 bytes"),
        (replace(model, shape=(64,)), "samples of shape"),
        (replace(model, classes=9), "tells 10 classes apart"),
        (replace(model, layout=model.layout[::-1]), "conv.weight of shape"),
        (replace(model, layout=model.layout[:-1]), "6 tensors"),
    ):
        with pytest.raises(ForeignError, match=says):
            foreign.load(other, file)
    with pytest.raises(ForeignError, match="not fetched"):
        foreign.load(model, None)
    with pytest.raises(ForeignError, match="No such file"):
        foreign.load(model, tmp_path / "none.pt2")
