from zkinfer.circuits.engines.ashlar.lowering.views import (
    Place,
    aligned,
    halves,
    joined,
    moved,
    natural,
    refined,
    sizes_of,
    split,
)


def sizes(dim):
    return [place.size for place in dim]


def test_block_is_row_major_with_rounded_sizes():
    view = natural("b", [[3], [5], [1], [2]])
    assert view.dims == ((Place(3, 4, 2),), (Place(5, 1, 3),), (), (Place(2, 0, 1),))
    assert view.shape == (3, 5, 1, 2)
    assert [factor.size for factor in view.factors] == [3, 5, 1, 2]


def test_merged_dimensions_keep_their_factors():
    flat = natural("b", [[3], [5], [2]]).reshaped([1, 30])
    assert [sizes(dim) for dim in flat.dims] == [[], [3, 5, 2]]


def test_dimension_is_cut_where_the_inner_part_is_a_power_of_two():
    cut = natural("b", [[12]]).reshaped([3, 4])
    assert cut.dims == ((Place(3, 2, 2),), (Place(4, 0, 2),))
    assert natural("b", [[12]]).reshaped([4, 3]) is None


def test_factors_are_dealt_out_across_dimensions():
    assert sizes_of(natural("b", [[6], [8]]).reshaped([12, 4]).dims) == ((6, 2), (4,))
    assert natural("b", [[6], [8]]).reshaped([4, 12]) is None
    assert natural("b", [[3], [5]]).reshaped([5, 3]) is None


def test_transposed_view_reads_the_same_bits():
    view = natural("b", [[3], [4]])
    assert view.transposed([1, 0]).dims == view.dims[::-1]


def test_remainder_of_a_pool_stays_with_a_dimension():
    bits = Place(1, 3, 1)
    view = natural("b", [[2], [2]])
    pooled = type(view)("b", (view.dims[0], (bits,), view.dims[1]))
    for shape in ([4], [2, 1, 2], [2, 2], [1, 4]):
        assert [place for dim in pooled.reshaped(shape).dims for place in dim].count(bits) == 1


def test_two_dimensions_are_cut_alike():
    [(outer, inner), (low, other)] = aligned((Place(12, 0, 4),), (Place(3, 8, 2), Place(4, 2, 2)))
    assert (outer.size, inner.first, low.size, other.first) == (3, 8, 4, 2)
    assert aligned((Place(12, 0, 4),), (Place(4, 4, 2), Place(3, 0, 2))) is None
    assert aligned((Place(2, 0, 1),), ()) is None


def test_common_factors_are_the_coarsest():
    whole, cut, other = (Place(24, 0, 5),), (Place(6, 4, 3), Place(4, 0, 2)), (Place(12, 1, 4), Place(2, 0, 1))
    assert refined([whole]) == (24,)
    assert refined([whole, cut]) == (6, 4)
    assert refined([whole, cut, other]) == (6, 2, 2)
    assert refined([(Place(3, 0, 2), Place(5, 2, 3)), (Place(15, 0, 4),)]) is None


def test_adjacent_factors_are_one_range_if_inner_ones_are_full():
    assert joined((Place(3, 2, 2), Place(4, 0, 2))) == Place(12, 0, 4)
    assert joined((Place(4, 2, 2), Place(3, 0, 2))) is None
    assert joined((Place(3, 3, 2), Place(4, 0, 2))) is None
    assert joined(()) == Place(1, 0, 0)


def test_halves_need_a_power_of_two_inside():
    assert halves(Place(12, 5, 4), 4) == (Place(3, 7, 2), Place(4, 5, 2))
    assert halves(Place(12, 5, 4), 3) is None
    assert halves(Place(6, 0, 3), 4) is None


def test_groups_are_cut_from_channels():
    assert [sizes(part) for part in split((Place(6, 0, 3),), [3, 2])] == [[3], [2]]
    assert split((Place(6, 0, 3),), [2, 3]) is None


def test_places_of_a_result_are_found_behind_views():
    block = natural("", [[3], [8]])
    view = block.transposed([1, 0]).reshaped([2, 4, 3])
    box = natural("y", sizes_of(view.dims))
    rows, columns = moved(((3,), (8,)), view, box)
    assert rows == (Place(3, 0, 2),)
    assert columns == (Place(2, 4, 1), Place(4, 2, 2))
