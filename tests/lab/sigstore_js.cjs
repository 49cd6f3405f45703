// Verifies bundles with @sigstore/verify. In: {root, cases: [{bundle, artifact: base64|null, thresholds}]} on stdin.
// Out: a list of null (accepted) or the refusal's text, which begins with «unread» where the bundle is not even read.
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const material = toTrustMaterial(TrustedRoot.fromJSON(input.root));
const verdicts = input.cases.map(({ bundle, artifact, thresholds }) => {
  let stage = "unread";
  try {
    const data = artifact === null ? undefined : Buffer.from(artifact, "base64");
    const entity = toSignedEntity(bundleFromJSON(bundle), data);
    stage = "refused";
    new Verifier(material, thresholds).verify(entity);
    return null;
  } catch (error) {
    return `${stage}: ${error.name} ${error.code || ""}: ${error.message}`;
  }
});
process.stdout.write(JSON.stringify(verdicts));
