// Verifies bundles with @sigstore/verify. In: {root, cases: [{bundle, artifact: base64|null, thresholds}]} on stdin.
// Out: a list of null (accepted) or the refusal's text.
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const material = toTrustMaterial(TrustedRoot.fromJSON(input.root));
const verdicts = input.cases.map(({ bundle, artifact, thresholds }) => {
  try {
    const data = artifact === null ? undefined : Buffer.from(artifact, "base64");
    new Verifier(material, thresholds).verify(toSignedEntity(bundleFromJSON(bundle), data));
    return null;
  } catch (error) {
    return `${error.name} ${error.code || ""}: ${error.message}`;
  }
});
process.stdout.write(JSON.stringify(verdicts));
