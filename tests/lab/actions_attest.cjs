// actions/attest's own push code, as `push-to-registry: true` runs it: ATTEST.cjs MODULES NAME DIGEST BUNDLE USER PASSWORD
'use strict'
const fs = require('node:fs')
const [modules, imageName, imageDigest, bundle, username, password] = process.argv.slice(2)
const { attachArtifactToImage } = require(`${modules}/@sigstore/oci`)
const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'

attachArtifactToImage({
  imageName,
  imageDigest,
  credentials: { username, password },
  artifact: fs.readFileSync(bundle),
  mediaType: MEDIA_TYPE,
  annotations: {
    'dev.sigstore.bundle.content': 'dsse-envelope',
    'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1',
  },
  fetchOpts: { timeout: 30000, retry: 3 },
}).then(
  (made) => console.log(made.digest),
  (error) => { console.error(`${error.message}: ${error.cause?.message}`); process.exitCode = 1 },
)
