"""Hidden full loads are errors under `strict`, and only there."""

import threading

import pytest

from lazyvox.errors import MaterializationError
from lazyvox.runtime.strict import check_materialization, strict


def test_nothing_is_refused_outside():
    with strict():
        pass
    check_materialization("median over time", 1024)


def test_a_hidden_load_is_refused_with_its_size_and_the_way_out():
    expected = r"median of 'run.nii.gz' would have loaded 3.0 GiB .*np.asarray\(img.dataobj\)"
    with strict(), pytest.raises(MaterializationError, match=expected):
        check_materialization("median of 'run.nii.gz'", 3 * 1024**3)


def test_leaving_the_inner_block_leaves_the_outer_strict():
    with strict():
        with strict():
            pass
        with pytest.raises(MaterializationError, match="strict"):
            check_materialization("median", 1)


def test_another_thread_is_not_strict():
    refused = []

    def work():
        try:
            check_materialization("median", 1)
        except MaterializationError as error:
            refused.append(error)

    with strict():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
    assert refused == []
