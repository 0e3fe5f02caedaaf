"""The table of channels: what ships is sound, what an operator lays over it wins, and mistakes are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.enrichment.channels import CHANNELS, ChannelsError, read_channels, shipped_table
from collector.enrichment.location import Locator
from collector.enrichment.referrer import Addresses


def addresses(folder: Path, text: str) -> Addresses:
    file = folder / "channels.toml"
    file.write_text(text)
    return Addresses(read_channels(file))


def channel(read: Addresses, referrer: str = "", query: str = "") -> str:
    return read.classify(referrer, read.parse_page(f"https://shop.example/?{query}"))[1]


def test_the_table_that_ships_knows_every_channel_that_a_table_can_name() -> None:
    table = shipped_table()
    named = {*table.hosts.values(), *table.sources.values(), *table.mediums.values(), *table.click_ids.values()}
    assert named == set(CHANNELS) - {"direct", "internal", "referral"}
    assert {"google", "yandex", "pinterest"} == table.brands.keys()
    assert not table.spam & table.hosts.keys(), "no site is both"


def test_an_operator_s_file_is_laid_over_it_entry_by_entry(tmp_path: Path) -> None:
    read = addresses(
        tmp_path,
        """
        [hosts]
        affiliate = ["Partner.example", "www.other.example"]
        referral = ["x.com"]
        organic_search = ["finder.*"]
        [sources]
        email = ["haus-post"]
        [mediums]
        display = ["out of home"]
        paid = ["bezahlt"]
        [click_ids]
        paid_search = ["zzclid"]
        """,
    )
    assert channel(read, "https://blog.partner.example/") == "affiliate"
    assert channel(read, "https://other.example/") == "affiliate"
    assert channel(read, "https://x.com/") == "referral"
    assert channel(read, "https://www.finder.co.uk/") == "organic_search"
    assert channel(read, "https://finder.evil.example/") == "referral"
    assert channel(read, query="utm_source=Haus-Post") == "email"
    assert channel(read, query="utm_medium=Out-of_Home") == "display"
    assert channel(read, "https://www.instagram.com/", "utm_medium=bezahlt") == "paid_social"
    assert channel(read, query="zzclid=7") == "paid_search"
    assert read.parse_page("https://a.example/?zzclid=7&gclid=8").click_id_type == "gclid", "those that ship rank first"
    assert channel(read, "https://www.bing.com/") == "organic_search", "what is not named stays"


def test_spammers_are_added_and_taken_out_and_read_from_lists(tmp_path: Path) -> None:
    (tmp_path / "spammers.txt").write_text("# made up\nFrom-A-List.example   # remark\n\n")
    read = addresses(tmp_path, '[spam]\nhosts = ["spam.example"]\nexcept = ["semalt.com"]\nlists = ["spammers.txt"]\n')
    flagged = {host: read.is_spam(host) for host in ("spam.example", "a.spam.example", "from-a-list.example")}
    assert flagged == dict.fromkeys(flagged, True)
    assert not read.is_spam("semalt.com")
    assert not read.is_spam("notspam.example")
    assert read.is_spam("darodar.com")
    locator = Locator(read)
    assert locator.locate("https://shop.example/", "https://www.spam.example/x", None).is_spam
    assert not locator.locate("https://shop.example/", "https://semalt.com/", None).is_spam


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[host]\n", "unknown section 'host'; did you mean 'hosts'"),
        ('[hosts]\norganic = ["a.example"]', "unknown channel 'organic'; did you mean 'organic_s"),
        ('[sources]\npaid = ["a"]', "sources has an unknown channel 'paid'"),
        ('[spam]\nhost = ["a.example"]', "unknown key 'host'; did you mean 'hosts'"),
        ('[hosts]\nemail = ["https://a.example/"]', "'https://a.example/' is no host"),
        ('[hosts]\nemail = ["*.example"]', "'*.example' is no host"),
        ('[hosts]\nemail = "a.example"', "hosts.email must be a list of texts"),
        ("[hosts]\nemail = [5]", "hosts.email must be a list of texts"),
        ("hosts = 5", "hosts must be a section"),
        ('[click_ids]\nemail = ["a b"]', "'a b' is no name of a parameter"),
        ('[spam]\nlists = ["missing.txt"]', "missing.txt cannot be read"),
        ("[hosts", "is not TOML"),
        ("a = " + "[" * 5_000, "is not TOML"),
        ("\ud800", "is not UTF-8"),
        ("[hosts]\nemail = [" + ",".join(f'"h{n}.example"' for n in range(100_001)) + "]", "too many entries"),
        ("#" * 4_000_001, "larger than 4,000,000 bytes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_mistake_in_it_is_one_sentence_that_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ChannelsError) as refused:
        read_channels(file)
    assert says in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, Path("a\0b")):
        with pytest.raises(ChannelsError, match="cannot be read"):
            read_channels(path)
