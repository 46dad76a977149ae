// A producer for muster in plain Go: producer REDIS_URL FLEET QUEUE.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Refused is an answer that would be the same again.
type Refused string

func (r Refused) Error() string { return string(r) }

// Answer says which job it is, or which job stands for it.
type Answer struct {
	ID           string `json:"id"`
	Queue        string `json:"queue"`
	Deduplicated bool   `json:"deduplicated"`
}

// Options of a job: "priority": "3".
type Options map[string]string

// Muster puts jobs into one queue, one call at a time.
type Muster struct {
	url  *url.URL
	key  string
	conn net.Conn
	in   *bufio.Reader
}

// Redis starts, fails over or is busy: the same call may pass in a moment.
var passing = regexp.MustCompile("^(LOADING|READONLY|MASTERDOWN|BUSY|TRYAGAIN)")
var pauses = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond,
	time.Second, 3 * time.Second, 10 * time.Second, 10 * time.Second}

func (m *Muster) connect() (err error) {
	network, address := "unix", m.url.Path
	if m.url.Scheme != "unix" {
		network, address = "tcp", m.url.Host
		if m.url.Port() == "" {
			address = net.JoinHostPort(m.url.Hostname(), "6379")
		}
	}
	if m.conn, err = net.DialTimeout(network, address, 5*time.Second); err != nil {
		return err
	}
	m.in = bufio.NewReader(m.conn)
	if password, ok := m.url.User.Password(); ok {
		user := m.url.User.Username()
		if user == "" {
			user = "default"
		}
		if _, err = m.call("AUTH", user, password); err != nil {
			return err
		}
	}
	if db := strings.Trim(m.url.Path, "/"); db != "" && network == "tcp" {
		_, err = m.call("SELECT", db)
	}
	return err
}

func (m *Muster) call(words ...string) (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(word), word)
	}
	m.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(m.conn, out.String()); err != nil {
		return "", err
	}
	line, err := m.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, text := line[0], strings.TrimSpace(line[1:])
	switch {
	case kind == '-' && passing.MatchString(text):
		return "", fmt.Errorf("%s", text)
	case kind == '-':
		return "", Refused(text)
	case kind != '$':
		return text, nil
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 0 {
		return "", fmt.Errorf("an answer of unknown shape: %s", text)
	}
	body := make([]byte, size+2)
	_, err = io.ReadFull(m.in, body)
	return string(body[:size]), err
}

// Enqueue repeats a call that broke: whether it has arrived nobody knows, and
// its token makes the next try give the first one's answer, and no second job.
func (m *Muster) Enqueue(kind string, payload any, options Options) (a Answer, err error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return a, err
	}
	var token [16]byte
	if _, err = rand.Read(token[:]); err != nil {
		return a, err
	}
	words := []string{"FCALL", "muster_enqueue", "1", m.key, kind, string(text)}
	if options["token"] == "" {
		words = append(words, "token", fmt.Sprintf("%x", token))
	}
	for name, value := range options {
		words = append(words, name, value)
	}
	for try := 0; ; try++ {
		var answer string
		if m.conn == nil {
			err = m.connect()
		}
		if err == nil {
			answer, err = m.call(words...)
		}
		if err == nil {
			return a, json.Unmarshal([]byte(answer), &a)
		}
		if _, ok := err.(Refused); ok || try == len(pauses) {
			return a, err
		}
		if m.conn != nil {
			m.conn.Close()
		}
		m.conn, err = nil, nil
		time.Sleep(pauses[try])
	}
}

func main() {
	where, err := url.Parse(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	muster := &Muster{url: where,
		key: fmt.Sprintf("ms:{%s/%s}:cfg", os.Args[2], os.Args[3])}
	for _, job := range []struct {
		payload any
		options Options
	}{
		{map[string]int{"to": 7}, nil},
		{[]string{"first"}, Options{"priority": "0", "group": "tenant-1"}},
		{"later", Options{"delay_ms": "200"}},
		{map[string]int{"invoice": 4711}, Options{"id": "invoice:4711"}},
		{struct{}{}, Options{"unique": "report", "delay_ms": "500"}},
		{struct{}{}, Options{"unique": "report"}}, // deduplicated
	} {
		answer, err := muster.Enqueue("noop.echo", job.payload, job.options)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		line, _ := json.Marshal(answer)
		fmt.Println(string(line))
	}
	_, err = muster.Enqueue("noop.echo", nil, Options{"priority": "10"})
	fmt.Fprintln(os.Stderr, "refused:", err)
}
