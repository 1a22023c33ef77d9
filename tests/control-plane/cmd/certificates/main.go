// Command certificates writes what a throw-away control plane on this machine needs to be reached securely: a
// certificate authority, the API server's certificate, a key for service account tokens, and a kubeconfig for each
// client. Everything is new for every start and valid for thirty days.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const validity = 30 * 24 * time.Hour

// clients are the kubeconfig files to write: <name>.kubeconfig authenticates as user, a member of group.
var clients = []struct{ name, user, group string }{
	{"admin", "admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
}

func main() {
	directory := flag.String("directory", "", "where to write the files")
	server := flag.String("server", "", "URL of the API server, for the kubeconfig files")
	flag.Parse()
	if *directory == "" || *server == "" || flag.NArg() != 0 {
		fmt.Fprintln(os.Stderr, "usage: certificates -directory DIRECTORY -server URL")
		os.Exit(2)
	}
	if err := write(*directory, *server); err != nil {
		fmt.Fprintln(os.Stderr, "certificates:", err)
		os.Exit(1)
	}
}

func write(directory, server string) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	serving, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	tokens, err := newTokenKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"ca.crt":              ca.certificatePEM,
		"serving.crt":         serving.certificatePEM,
		"serving.key":         serving.keyPEM,
		"service-account.key": tokens.private,
		"service-account.pub": tokens.public,
	}
	for _, client := range clients {
		subject := pkix.Name{CommonName: client.user}
		if client.group != "" {
			subject.Organization = []string{client.group}
		}
		issued, err := ca.issue(&x509.Certificate{
			Subject:     subject,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return err
		}
		files[client.name+".kubeconfig"] = kubeconfig(server, client.name, ca, issued)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// pair is a certificate with its key, both as PEM.
type pair struct{ certificatePEM, keyPEM []byte }

type authority struct {
	pair
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "local control plane"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	self := &authority{certificate: template, key: key}
	if self.pair, err = self.sign(template, key); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(self.certificatePEM)
	if self.certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	return self, nil
}

// issue makes a new key and a certificate for it.
func (a *authority) issue(template *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return a.sign(template, key)
}

func (a *authority) sign(template *x509.Certificate, key crypto.Signer) (pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair{}, err
	}
	template.SerialNumber = serial
	// An hour of slack for clocks that are not quite the same, in containers and virtual machines.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{encode("CERTIFICATE", certificate), encode("PRIVATE KEY", private)}, nil
}

type tokenKey struct{ private, public []byte }

func newTokenKey() (tokenKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tokenKey{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tokenKey{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return tokenKey{}, err
	}
	return tokenKey{encode("PRIVATE KEY", private), encode("PUBLIC KEY", public)}, nil
}

func encode(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

// kubeconfig carries all certificates inside, so that the file works from anywhere and with any client.
func kubeconfig(server, user string, ca *authority, client pair) []byte {
	data := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: local
clusters:
- name: local
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: %s
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: local
  context: {cluster: local, user: %[3]s}
`, server, data(ca.certificatePEM), user, data(client.certificatePEM), data(client.keyPEM))
}
