// SPDX-License-Identifier: Apache-2.0

package profile

// city is a place where sites are: its coordinates in degrees, and how many
// sites it has among the first 125.
type city struct {
	country, region, name string
	lat, lon              float64
	sites                 int
}

// cities has thirty countries. Sites go to cities in this order, round after
// round, until each has its number.
var cities = []city{
	{"US", "na", "Boston", 42.36, -71.06, 4}, {"US", "na", "Princeton", 40.35, -74.66, 4}, {"US", "na", "New York", 40.71, -74.01, 3},
	{"US", "na", "Pittsburgh", 40.44, -79.99, 3}, {"US", "na", "Washington", 38.91, -77.04, 3}, {"US", "na", "Durham", 35.99, -78.90, 3},
	{"US", "na", "Atlanta", 33.75, -84.39, 2}, {"US", "na", "Gainesville", 29.65, -82.32, 1}, {"US", "na", "Ann Arbor", 42.28, -83.74, 2},
	{"US", "na", "Chicago", 41.88, -87.63, 3}, {"US", "na", "Urbana", 40.11, -88.21, 2}, {"US", "na", "Madison", 43.07, -89.40, 2},
	{"US", "na", "Minneapolis", 44.98, -93.27, 1}, {"US", "na", "Lawrence", 38.97, -95.24, 1}, {"US", "na", "Austin", 30.27, -97.74, 2},
	{"US", "na", "Houston", 29.76, -95.37, 2}, {"US", "na", "Boulder", 40.01, -105.27, 2}, {"US", "na", "Salt Lake City", 40.76, -111.89, 2},
	{"US", "na", "Tucson", 32.22, -110.97, 1}, {"US", "na", "San Diego", 32.72, -117.16, 3}, {"US", "na", "Los Angeles", 34.05, -118.24, 4},
	{"US", "na", "Berkeley", 37.87, -122.27, 5}, {"US", "na", "Palo Alto", 37.44, -122.14, 5}, {"US", "na", "Seattle", 47.61, -122.33, 5},
	{"CA", "na", "Toronto", 43.65, -79.38, 3}, {"CA", "na", "Vancouver", 49.28, -123.12, 2}, {"CA", "na", "Montreal", 45.50, -73.57, 1},
	{"MX", "na", "Mexico City", 19.43, -99.13, 1},
	{"GB", "eu", "Cambridge", 52.21, 0.12, 2}, {"GB", "eu", "London", 51.51, -0.13, 2}, {"GB", "eu", "Lancaster", 54.05, -2.80, 1},
	{"DE", "eu", "Berlin", 52.52, 13.41, 2}, {"DE", "eu", "Karlsruhe", 49.01, 8.40, 2}, {"DE", "eu", "Munich", 48.14, 11.58, 1},
	{"FR", "eu", "Paris", 48.86, 2.35, 3}, {"FR", "eu", "Nice", 43.70, 7.27, 1}, {"NL", "eu", "Amsterdam", 52.37, 4.90, 2},
	{"BE", "eu", "Leuven", 50.88, 4.70, 1}, {"CH", "eu", "Zurich", 47.38, 8.54, 1}, {"CH", "eu", "Lausanne", 46.52, 6.63, 1},
	{"AT", "eu", "Vienna", 48.21, 16.37, 1}, {"IT", "eu", "Pisa", 43.72, 10.40, 1}, {"IT", "eu", "Turin", 45.07, 7.69, 1},
	{"ES", "eu", "Madrid", 40.42, -3.70, 2}, {"GR", "eu", "Patras", 38.25, 21.74, 1},
	{"SE", "eu", "Uppsala", 59.86, 17.64, 2}, {"DK", "eu", "Copenhagen", 55.68, 12.57, 1},
	{"FI", "eu", "Helsinki", 60.17, 24.94, 1}, {"PL", "eu", "Warsaw", 52.23, 21.01, 1}, {"CZ", "eu", "Prague", 50.08, 14.44, 1},
	{"RU", "eu", "Moscow", 55.76, 37.62, 1}, {"IL", "as", "Haifa", 32.79, 34.99, 2},
	{"IN", "as", "Bangalore", 12.97, 77.59, 1}, {"CN", "as", "Beijing", 39.90, 116.41, 3}, {"TW", "as", "Taipei", 25.03, 121.57, 2},
	{"HK", "as", "Hong Kong", 22.32, 114.17, 1}, {"KR", "as", "Seoul", 37.57, 126.98, 2}, {"JP", "as", "Tokyo", 35.68, 139.69, 3},
	{"SG", "as", "Singapore", 1.35, 103.82, 1}, {"AU", "oc", "Sydney", -33.87, 151.21, 1}, {"AU", "oc", "Canberra", -35.28, 149.13, 1},
	{"NZ", "oc", "Auckland", -36.85, 174.76, 1}, {"BR", "sa", "Rio de Janeiro", -22.91, -43.17, 2}, {"BR", "sa", "Belo Horizonte", -19.92, -43.94, 1},
}
