# Configures the site. The spec's vars are in the environment.
$ErrorActionPreference = 'Stop'

New-Item -ItemType Directory -Force -Path C:\stampmill-example | Out-Null
Set-Content -Path C:\stampmill-example\site.txt -Value "$env:site"
Set-Service -Name W3SVC -StartupType Automatic
