from dataclasses import replace

import pytest

from ctlab.learn.data.split import (
    Slab,
    check_split,
    cut_slabs,
    split_csv,
    split_hash,
    split_series,
)

ONE = [("LIDC", "P1", 133)]
TEST = (70, 109)


def slices_of(slabs, role):
    return {z for s in slabs if s.role == role for z in range(s.first, s.last + 1)}


@pytest.mark.parametrize("slab_slices", [1, 4, 7, 13])
@pytest.mark.parametrize("gap", [10, 15])
def test_slabs_of_one_patient_keep_their_distance(slab_slices, gap):
    slabs = split_series(ONE, slab_slices=slab_slices, gap_slices=gap, leave_out=[TEST])
    full, low = slices_of(slabs, "full"), slices_of(slabs, "low")
    assert full
    assert low
    assert min(abs(a - b) for a in full for b in low) > gap
    test = range(TEST[0], TEST[1] + 1)
    assert min(abs(a - b) for a in full | low for b in test) > gap
    assert max(full | low) <= 132


def test_slabs_use_every_slice_the_gaps_leave():
    slabs = cut_slabs(60, slab_slices=7, gap_slices=10)
    assert sum(b - a + 1 for a, b in slabs) == 60 - 3 * 10
    assert (slabs[0][0], slabs[-1][1]) == (0, 59)


def test_two_patients_alternate_as_wholes():
    slabs = split_series(
        [("a", "P1", 30), ("b", "P2", 20), ("c", "P1", 9)], slab_slices=5, gap_slices=10
    )
    assert {s.patient for s in slabs if s.role == "low"} == {"P1"}
    assert {s.patient for s in slabs if s.role == "full"} == {"P2"}


def test_a_patient_in_both_domains_is_refused():
    slabs = [Slab("a", "P1", 0, 9, "full"), Slab("b", "P1", 0, 9, "low")]
    with pytest.raises(ValueError, match="one patient"):
        check_split(slabs, gap_slices=10)


def test_near_slabs_and_near_test_slices_are_refused():
    slabs = [Slab("a", "P", 0, 9, "full"), Slab("a", "P", 20, 29, "low")]
    check_split(slabs, gap_slices=10)
    with pytest.raises(ValueError, match="slices between slices 0 to"):
        check_split([slabs[0], replace(slabs[1], first=19)], gap_slices=10)
    with pytest.raises(ValueError, match="left out"):
        check_split(slabs, gap_slices=10, leave_out=[(39, 50)])
    check_split(slabs, gap_slices=10, leave_out=[(40, 50)])


def test_too_few_slices_for_two_domains_say_so():
    with pytest.raises(ValueError, match="no slices are left for the full domain"):
        split_series([("a", "P", 16)], slab_slices=7, gap_slices=10)


def test_the_hash_knows_the_split_and_not_its_order():
    slabs = split_series(ONE, slab_slices=7, gap_slices=10, leave_out=[TEST])
    assert split_hash(slabs) == split_hash(slabs[::-1])
    assert split_hash(slabs) != split_hash(
        [*slabs[:-1], replace(slabs[-1], last=slabs[-1].last - 1)]
    )
    assert split_csv(slabs).splitlines()[1] == "LIDC,P1,0,7,low"
