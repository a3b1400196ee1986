package userdata

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// windows is the script that EC2Launch runs at the first boot. It cannot unpack gzip by itself, so the script does. The
// settings lie in C:\ProgramData\Stampmill, which outlives boots.
func (b Batch) windows(url string) ([]byte, error) {
	var out strings.Builder
	out.WriteString(`<powershell>
$ErrorActionPreference = 'Stop'
$folder = 'C:\ProgramData\Stampmill'
New-Item -ItemType Directory -Force -Path $folder | Out-Null
$imds = 'http://169.254.169.254/latest'
$token = Invoke-RestMethod -Method Put -Uri "$imds/api/token" -Headers @{'X-aws-ec2-metadata-token-ttl-seconds' = '300'}
$index = [int](Invoke-RestMethod -Uri "$imds/meta-data/ami-launch-index" -Headers @{'X-aws-ec2-metadata-token' = $token})
function Write-Base64($text, $path) { [IO.File]::WriteAllBytes($path, [Convert]::FromBase64String($text)) }
`)
	if err := b.windowsManifest(&out, url); err != nil {
		return nil, err
	}
	if b.hasSettings() {
		out.WriteString("Write-Base64 $lines[$index] \"$folder\\settings.json\"\n")
	}
	if b.hasHostnames() {
		fmt.Fprintf(&out, "$hostnames = @('%s' -split ',')\n", strings.Join(b.hostnames(), ","))
		out.WriteString("$rename = $env:COMPUTERNAME -ne $hostnames[$index]\nif ($rename) { Rename-Computer -NewName $hostnames[$index] -Force }\n")
	}
	if b.Bootstrap != "" {
		fmt.Fprintf(&out, "$env:STAMPMILL_FLEET = '%s'\n$env:STAMPMILL_ORDINAL = (%s)[$index]\n", b.Fleet, "@("+strings.Join(b.ordinals(), ",")+")")
		out.WriteString("Write-Base64 $lines[-1] \"$folder\\bootstrap.ps1\"\n& powershell.exe -ExecutionPolicy Bypass -File \"$folder\\bootstrap.ps1\"\n")
	}
	if b.hasHostnames() {
		out.WriteString("if ($rename) { Restart-Computer -Force }\n")
	}
	out.WriteString("</powershell>\n")
	return []byte(out.String()), nil
}

func (b Batch) windowsManifest(out *strings.Builder, url string) error {
	if !b.hasSettings() && b.Bootstrap == "" {
		return nil
	}
	if url != "" {
		fmt.Fprintf(out, "$lines = @((Invoke-WebRequest -UseBasicParsing -Uri '%s').Content -split \"`n\" | Where-Object { $_ })\n", url)
		return nil
	}
	packed, err := pack(b.Manifest())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "$packed = New-Object IO.MemoryStream(,[Convert]::FromBase64String('%s'))\n", base64.StdEncoding.EncodeToString(packed))
	out.WriteString("$reader = New-Object IO.StreamReader((New-Object IO.Compression.GzipStream($packed, [IO.Compression.CompressionMode]::Decompress)))\n")
	out.WriteString("$lines = $reader.ReadToEnd().Trim() -split \"`n\"\n")
	return nil
}
