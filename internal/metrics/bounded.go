package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the label value of everything that a closed set does not have.
const other = "other"

// prefix is that of legacy's registry (C18), and ours.
const prefix = "alys_"

// label is one label and the closed set of its values.
type label struct {
	name   string
	values []string
}

// counter is a counter whose label values are bounded.
type counter struct {
	vec    *prometheus.CounterVec
	labels []label
}

// newCounter registers a counter without a series.
func (s *Set) newCounter(name, help string, labels ...label) counter {
	c := counter{
		vec:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, names(labels)),
		labels: labels,
	}
	s.registry.MustRegister(c.vec)
	return c
}

// counter registers a counter with all its combinations of label values at zero.
func (s *Set) counter(name, help string, labels ...label) counter {
	c := s.newCounter(name, help, labels...)
	for _, values := range combinations(labels) {
		c.vec.WithLabelValues(values...)
	}
	return c
}

func (c counter) inc(values ...string) { c.add(1, values...) }

func (c counter) add(n int, values ...string) {
	c.vec.WithLabelValues(bound(c.labels, values)...).Add(float64(n))
}

// histogram is a histogram whose label values are bounded.
type histogram struct {
	vec    *prometheus.HistogramVec
	labels []label
}

func (s *Set) newHistogram(name, help string, buckets []float64, labels ...label) histogram {
	h := histogram{
		vec:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}, names(labels)),
		labels: labels,
	}
	s.registry.MustRegister(h.vec)
	return h
}

func (s *Set) histogram(name, help string, buckets []float64, labels ...label) histogram {
	h := s.newHistogram(name, help, buckets, labels...)
	for _, values := range combinations(labels) {
		h.vec.WithLabelValues(values...)
	}
	return h
}

func (h histogram) observe(v float64, values ...string) {
	h.vec.WithLabelValues(bound(h.labels, values)...).Observe(v)
}

func (s *Set) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	s.registry.MustRegister(g)
	return g
}

func names(labels []label) (out []string) {
	for _, l := range labels {
		out = append(out, l.name)
	}
	return out
}

// bound replaces values that are in no set.
func bound(labels []label, values []string) []string {
	out := slices.Clone(values)
	for i, l := range labels {
		if !slices.Contains(l.values, out[i]) {
			out[i] = other
		}
	}
	return out
}

// combinations are all of the label values, "other" left out: it appears with
// the first value that asks for it.
func combinations(labels []label) [][]string {
	out := [][]string{{}}
	for _, l := range labels {
		var next [][]string
		for _, head := range out {
			for _, v := range l.values {
				next = append(next, append(slices.Clone(head), v))
			}
		}
		out = next
	}
	return out
}
