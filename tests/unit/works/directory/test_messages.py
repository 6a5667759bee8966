from zkinfer.works.directory.messages import lookup_request


def test_question_has_one_kind_and_no_distance_unless_it_is_given():
    found = lookup_request("iscc", "ISCC:EEA", subject="dns:acme.example", uses=["training"])
    assert (found.WhichOneof("query"), found.iscc, found.HasField("distance")) == ("iscc", "ISCC:EEA", False)
    assert lookup_request("content", b"x", distance=0).HasField("distance")
