// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestQueryPrintsInAFormThatParsesAgain(t *testing.T) {
	for in, want := range map[string]string{
		"":       "",
		"  ":     "",
		"cpu>=5": "cpu>=5",
		"cpu >= 2000&memory>=1GiB & country!=DE & rtt<80ms & label.ixp=yes order by -free.cpu  limit 20 spread by site": "cpu>=2000 & memory>=1GiB & country!=DE & rtt<80ms & label.ixp=yes order by -free.cpu limit 20 spread by site",
		"limit 3":                                   "limit 3",
		"order  by -cpu ,country,-rtt limit 2":      "order by -cpu, country, -rtt limit 2",
		`city="New York" spread by as order by rtt`: `city="New York" order by rtt spread by as`,
		"kernel>=6.1 & name=uni-a/n1":               "kernel>=6.1 & name=uni-a/n1",
		`label.a=""`:                                `label.a=""`,
	} {
		q, err := ParseQuery(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := q.String(); got != want {
			t.Errorf("%q prints %q, want %q", in, got, want)
		}
	}
}

func TestQueryErrorsSayWhereAndWhat(t *testing.T) {
	for in, want := range map[string]string{
		"contry=DE":                      `query, column 1: got "contry", expected an attribute (did you mean country?)`,
		"cpu>=1 & memroy>=1GiB":          `query, column 10: got "memroy", expected an attribute (did you mean memory?)`,
		"cpu=>5":                         `query, column 4: got "=>", expected one of = != < <= > >= after cpu (did you mean >=?)`,
		"cpu==5":                         `query, column 4: got "==", expected one of = != < <= > >= after cpu (did you mean =?)`,
		"country=>DE":                    `query, column 8: got "=>", expected one of = != after country`,
		"lable.ixp=yes":                  `query, column 1: got "lable.ixp", expected an attribute (did you mean label.ixp?)`,
		"fre.share.cpu>1":                `query, column 1: got "fre.share.cpu", expected an attribute (did you mean free.share.cpu?)`,
		"RAM>1GiB":                       `query, column 1: got "RAM", expected an attribute (did you mean memory?)`,
		"order by cpu, contry":           `query, column 15: got "contry", expected an attribute (did you mean country?)`,
		"order by cpu desc":              `query, column 14: got "desc", expected a comma and another attribute, limit or spread by (order by -cpu is descending, order by cpu ascending)`,
		"order by cpu, -cpu":             `query, column 15: got "-cpu", expected each attribute once`,
		"order by cpu,":                  `query, column 14: got the end, expected an attribute`,
		"order by as,arch,city,cpu,disk": `query, column 27: got "disk", expected at most 4 attributes to order by`,
		"country<DE":                     `query, column 8: got "<", expected one of = != after country`,
		"cpu>=":                          `query, column 6: got the end, expected a value`,
		"memory>=1GB5":                   `query, column 9: got "1GB5", expected an amount of memory such as 1MiB`,
		"rtt<80":                         `query, column 5: got "80", expected a duration such as 80ms, 2h or 30d`,
		"cpu>=1 &":                       `query, column 9: got the end, expected an attribute`,
		"cpu>=1 memory>=1":               `query, column 8: got "memory", expected & and a constraint, order by, limit or spread by`,
		"cpu>=1 | cpu<3":                 `query, column 8: got "|", expected & and a constraint, order by, limit or spread by`,
		"cpu>=1 oder by cpu":             `query, column 8: got "oder", expected & and a constraint, order by, limit or spread by (did you mean order?)`,
		"order cpu":                      `query, column 7: got "cpu", expected by`,
		"limit 0":                        `query, column 7: got "0", expected a number from 1 to 10000`,
		"limit 2 limit 3":                `query, column 9: got "limit", expected each clause once`,
		"spread by city":                 `query, column 11: got "city", expected site, as or country`,
		`city="Zürich`:                   `query, column 13: got the end, expected a closing "`,
		"cpu>=99999999999999999999":      `query, column 6: got "99999999999999999999", expected an amount of cpu such as 1048576`,
	} {
		_, err := ParseQuery(in)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", in, err, want)
		}
		if !errors.Is(err, ErrQuery) {
			t.Errorf("%q: %v does not match ErrQuery", in, err)
		}
	}
}

func TestMatch(t *testing.T) {
	o := full(keyOf("n1"))
	silent := &Offer{Node: keyOf("n2").Principal()}
	near := Measured{RTT: 20 * time.Millisecond}
	for query, want := range map[string]struct{ full, silent bool }{
		"":                                   {true, true},
		"cpu>=3500":                          {true, false},
		"cpu>3500":                           {false, false},
		"free.memory>=7GiB":                  {true, false},
		"cpu<100":                            {false, true}, // what is not free is 0, which is stated
		"country=CH":                         {true, false},
		"country=ch":                         {true, false},
		"country!=DE":                        {true, true},
		"country!=CH":                        {false, true},
		"site=uni-a":                         {true, false},
		"name=uni-a/n1":                      {true, false},
		"kernel>=6.1":                        {true, false},
		"kernel>=6.1.1":                      {false, false},
		"kernel<6.10":                        {true, false},
		"as=559":                             {true, false},
		"uptime>=1d":                         {true, false},
		"runtime=runc & arch=amd64":          {true, false},
		"label.ixp=yes & label.rack!=b5":     {true, false},
		"label.nothing=x":                    {false, false},
		"rtt<80ms":                           {true, false},
		"rtt<20ms":                           {false, false},
		"node=" + o.Node.String():            {true, false},
		"node=" + o.Node.Short():             {true, false},
		"network=public & city=\"Zürich\"":   {true, false},
		"site=" + o.Site.Short() + "&cpu>=1": {true, false},
	} {
		q, err := ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got, why := q.Match(o, near); got != want.full {
			t.Errorf("%s: full offer %v (%s)", query, got, why)
		}
		if got, why := q.Match(silent, Measured{}); got != want.silent {
			t.Errorf("%s: silent offer %v (%s)", query, got, why)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("cpu>=2000 & memory>=1GiB & country!=DE & rtt<80ms & label.ixp=yes order by -free.cpu limit 20 spread by site")
	f.Add(`city="Zürich" & uptime>=30d & kernel<6.10`)
	f.Add("a=\x00")
	o := full(keyOf("n1"))
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuery(s)
		if err != nil {
			return
		}
		again, err := ParseQuery(q.String())
		if err != nil || !reflect.DeepEqual(q, again) {
			t.Fatalf("%q printed %q, which parses as %+v, %v", s, q, again, err)
		}
		q.Match(o, Measured{})
	})
}
