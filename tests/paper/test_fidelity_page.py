"""The page of what equals the published training is made of the tests' notes."""
import json

import conftest
import pytest

from mvit3_bench.paper import fidelity as page

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="x"><properties><property name="fidelity" value='{equal}'/></properties></testcase>
<testcase classname="a" name="y"><properties><property name="fidelity" value='{other}'/></properties>{outcome}</testcase>
</testsuite></testsuites>"""
EQUAL = dict(item='losses', recipe='coco_v1type', measured='1e-07', differs=None)
OTHER = dict(item='losses', recipe='coco_v1type', measured='3 of 4', differs='D13')


def report(tmp_path, outcome: str = ''):
    path = tmp_path / 'report.xml'
    path.write_text(REPORT.format(equal=json.dumps(EQUAL), other=json.dumps(OTHER), outcome=outcome))
    return path


def test_page(tmp_path):
    """An equal item and a difference of a recipe stand in its column, with their figures."""
    record = page.make_record(report(tmp_path))
    assert record['tests'] == 2 and [note['test'] for note in record['notes']] == ['a.x', 'a.y']
    text = page.page(record)
    row = next(line for line in text.splitlines() if line.startswith('| losses'))
    assert row.count('equal, [D13](#d13)') == 1 and row.count(' - ') == len(page.RECIPES) - 1
    assert '- 3 of 4 (coco_v1type)' in text and '1e-07' in text
    assert page.state('det/ssdlite_mvit3_s_coco.py', record['notes']) == f'1 of {len(page.ITEMS)}, D13'
    assert page.state('det/ssdlite_mvit3_1.0_coco.py', record['notes']) == '-'


@pytest.mark.parametrize('outcome', ['<failure/>', '<error/>'])
def test_a_failed_test_makes_no_page(tmp_path, outcome):
    """A page that says "all passed" is not made of a run with failures, and the error names the test."""
    with pytest.raises(ValueError, match='failed: a.y'):
        page.make_record(report(tmp_path, outcome))


def test_every_config_has_a_recipe():
    """All published rows and the ablation have one; the examples on small data sets have their own."""
    recipes = {path.relative_to(conftest.ROOT / 'configs').as_posix(): page.recipe_of(path.name)
               for path in conftest.CONFIGS}
    without = {name for name, recipe in recipes.items() if recipe is None and not name.startswith(('ablation', 'study'))}
    assert without == {
        'cls/mvit3_xxs_imagenette128.py', 'det/ssdlite_mvit3_xxs_bccd.py', 'seg/deeplabv3_mvit3_xxs_camvid.py'}
    assert {recipe for recipe in recipes.values() if recipe} == set(page.RECIPES)
    assert all(recipes[path] == recipe for recipe, path in page.RECIPES.items())
