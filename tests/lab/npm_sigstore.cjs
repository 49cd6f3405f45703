// Loaded into npm by NODE_OPTIONS=--require: what is for Sigstore's public Fulcio and Rekor goes to the sandbox instead.
// npm has no option for their addresses; its own files stay as they are.
'use strict'
const http = require('node:http')
const https = require('node:https')

const sandbox = new URL(process.env.LAB_SIGSTORE)
const PUBLIC = new Set(['fulcio.sigstore.dev', 'rekor.sigstore.dev'])
const request = https.request

https.request = (options, ...rest) =>
  PUBLIC.has(options.hostname)
    ? http.request({ ...options, protocol: 'http:', host: sandbox.host, hostname: sandbox.hostname,
        port: sandbox.port, agent: new http.Agent(), servername: undefined }, ...rest)
    : request(options, ...rest)
