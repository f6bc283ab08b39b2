"""Tables as R, pandas and collections of data sets write them."""

import numpy as np
import pytest

from reader_study.stats.read_table import read_table

PACKAGES = {
    "write.csv": '"","reader","case","arm","truth","rating"\n"1","a","1",1,TRUE,1.5\n'
    '"2","a","2",1,FALSE,NA\n',
    "write.table": '"reader" "case" "arm" "truth" "rating"\n"1" "a" "1" 1 TRUE 1.5\n'
    '"2" "a" "2" 1 FALSE NA\n',
    "write.table, comma": '"reader","case","arm","truth","rating"\n"1","a","1",1,TRUE,1.5\n'
    '"2","a","2",1,FALSE,NA\n',
    "columns by blanks": "reader  case arm truth rating \na       1    1   TRUE  1.5\n"
    "a       2    1   FALSE NA\n",
    "Rdatasets": "rownames,reader,case,arm,truth,rating\n1,a,1,1,TRUE,1.5\n2,a,2,1,FALSE,NA\n",
    "write.csv2": '"";"reader";"case";"arm";"truth";"rating"\n"1";"a";"1";1;TRUE;1,5\n'
    '"2";"a";"2";1;FALSE;NA\n',
    "pandas": "Unnamed: 0,reader,case,arm,truth,rating\n0,a,1,1,TRUE,1.5\n1,a,2,1,FALSE,\n",
}


@pytest.mark.parametrize("name", PACKAGES)
def test_tables_as_packages_write_them(tmp_path, name):
    path = tmp_path / "t.csv"
    path.write_text(PACKAGES[name])
    got = read_table(path)
    assert list(got) == ["reader", "case", "arm", "truth", "rating"]
    assert got["case"].tolist() == ["1", "2"]
    assert got["arm"].tolist() == ["1", "1"]
    assert got["rating"].tolist()[0] == 1.5
    assert np.isnan(got["rating"].iloc[1])
    assert got.index.tolist() == [2, 3]
