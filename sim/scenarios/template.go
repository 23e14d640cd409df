// SPDX-License-Identifier: Apache-2.0

package scenarios

// Template is a scenario to begin with.
const Template = `# What this shows, in one line
nodes 50 profile=planetlab          # or flat; where they are and how far apart
seed 1                              # of everything that is left to chance
join wave=10 every=1s

at 20s  slice probe nodes=10 where="cpu>=100" spread=site term=10m
at 40s  fault partition region=eu for=30s
at 80s  fault restart fraction=0.2 after=1s
at 2m   stop probe
end 3m                              # a minute after the last step, if not said

expect delivery p99 <= 2s           # of offers, to everybody's view
expect slice probe time <= 10s
expect safety                       # no promise of a lease was broken
# docs/simulation.md has all steps, faults and figures, and the trials of tickets and agents
`
