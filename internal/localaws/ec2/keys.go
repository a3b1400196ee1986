package ec2

import (
	"crypto/ed25519"
	"crypto/md5" // AWS's fingerprint of imported RSA keys
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeKeysInput struct {
	dryable
	Names         []string `query:"KeyName"`
	IDs           []string `query:"KeyPairId"`
	IncludePublic bool     `query:"IncludePublicKey"`
	Filters       []filter `query:"Filter"`
}

type describeKeysXML struct {
	Keys list[keyXML] `xml:"keySet"`
}

type keyXML struct {
	ID          string    `xml:"keyPairId"`
	Name        string    `xml:"keyName"`
	Fingerprint string    `xml:"keyFingerprint"`
	Type        string    `xml:"keyType,omitempty"`
	PublicKey   string    `xml:"publicKey,omitempty"`
	Created     string    `xml:"createTime,omitempty"`
	Material    string    `xml:"keyMaterial,omitempty"`
	Tags        list[Tag] `xml:"tagSet"`
}

var keyFields = fields[*keyRecord]{
	"key-pair-id": func(k *keyRecord) []string { return one(k.ID) },
	"key-name":    func(k *keyRecord) []string { return one(k.Name) },
	"fingerprint": func(k *keyRecord) []string { return one(k.Fingerprint) },
}

func (s *Service) describeKeyPairs(c *call, in *describeKeysInput) (any, error) {
	ids := in.IDs
	for _, name := range in.Names {
		key := c.keyPair(name)
		if key == nil {
			return nil, keyNotFound(name)
		}
		ids = append(ids, key.ID)
	}
	found, err := pick(c.keyPairs, keyFields, ids, in.Filters, keyNotFound)
	if err != nil {
		return nil, err
	}
	var answer describeKeysXML
	for _, k := range found {
		shown := keyXML{ID: k.ID, Name: k.Name, Fingerprint: k.Fingerprint, Type: k.Type, Created: stamp(k.Created), Tags: listOf(k.Tags)}
		if in.IncludePublic {
			shown.PublicKey = k.PublicKey
		}
		answer.Keys.Items = append(answer.Keys.Items, shown)
	}
	return answer, nil
}

func keyNotFound(name string) error {
	return api.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

func (sc *scope) keyPair(name string) *keyRecord {
	for _, key := range sc.keyPairs.order {
		if key.Name == name {
			return key
		}
	}
	return nil
}

type createKeyInput struct {
	dryable
	Name              string             `query:"KeyName"`
	Type              string             `query:"KeyType"`
	Format            string             `query:"KeyFormat"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

// createKeyPair makes an ed25519 key from the seed: it opens nothing, as no server of the endpoint has a network.
func (s *Service) createKeyPair(c *call, in *createKeyInput) (any, error) {
	if in.Format != "" && in.Format != "pem" {
		return nil, api.Errorf("UnsupportedOperation", "Key format '%s' is not supported by this endpoint: use pem", in.Format)
	}
	random := s.env.Rand("ec2-key", c.Account, c.Region, in.Name)
	var secret [ed25519.SeedSize]byte
	for n := range secret {
		secret[n] = byte(random.Uint32())
	}
	private := ed25519.NewKeyFromSeed(secret[:])
	public := "ssh-ed25519 " + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)) + " " + in.Name
	key, err := s.addKey(c, in.Name, "ed25519", public, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	material := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	return keyXML{ID: key.ID, Name: key.Name, Fingerprint: key.Fingerprint, Material: string(material), Tags: listOf(key.Tags)}, nil
}

type importKeyInput struct {
	dryable
	Name              string             `query:"KeyName"`
	Material          []byte             `query:"PublicKeyMaterial"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

func (s *Service) importKeyPair(c *call, in *importKeyInput) (any, error) {
	public := strings.TrimSpace(string(in.Material))
	kind, _, _ := strings.Cut(public, " ")
	if kind != "ssh-rsa" && kind != "ssh-ed25519" {
		return nil, api.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	key, err := s.addKey(c, in.Name, strings.TrimPrefix(kind, "ssh-"), public, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	return keyXML{ID: key.ID, Name: key.Name, Fingerprint: key.Fingerprint, Tags: listOf(key.Tags)}, nil
}

func (s *Service) addKey(c *call, name, kind, public string, specifications []tagSpecification) (*keyRecord, error) {
	if name == "" {
		return nil, missing("KeyName")
	}
	if c.keyPair(name) != nil {
		return nil, api.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	tags, err := tagsFor(specifications, "key-pair")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(public))
	fingerprint := base64.StdEncoding.EncodeToString(sum[:])
	if kind == "rsa" {
		old := md5.Sum([]byte(public))
		fingerprint = colons(hex.EncodeToString(old[:]))
	}
	key := &keyRecord{
		base: s.newBase(c.scope, s.newID("key", c.Account, c.Region, name), tags), Name: name, Type: kind,
		Fingerprint: fingerprint, PublicKey: public, Created: c.now,
	}
	c.keyPairs.put(key)
	return key, nil
}

func colons(digits string) string {
	var parts []string
	for at := 0; at < len(digits); at += 2 {
		parts = append(parts, digits[at:at+2])
	}
	return strings.Join(parts, ":")
}

type deleteKeyInput struct {
	dryable
	Name string `query:"KeyName"`
	ID   string `query:"KeyPairId"`
}

// deleteKeyPair succeeds for a key that is not there, as AWS does.
func (s *Service) deleteKeyPair(c *call, in *deleteKeyInput) (any, error) {
	key := c.keyPair(in.Name)
	if held, ok := c.keyPairs.get(in.ID); ok {
		key = held
	}
	if key != nil {
		c.keyPairs.remove(key)
	}
	return done{true}, nil
}

// idDigits is what an id that only has to look right is made of.
func idDigits(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToUpper(hex.EncodeToString(sum[:9]))[:17]
}
