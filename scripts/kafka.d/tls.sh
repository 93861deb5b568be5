# shellcheck shell=bash
# The self-made certificate authority, the brokers' certificate and the test user of a cluster with --sasl-tls.
# Sourced by scripts/kafka.
#
# Everything is made once for a cluster and kept in DIR/tls. The password is drawn at random; it opens the SASL listener
# (user `sensor`, by PLAIN and both SCRAMs) and the truststore.

readonly SASL_USER=sensor
readonly SCRAM_DONE=scram-done

tls_dir() {
    echo "$cluster_dir/tls"
}

# make_tls_material: certificates and client settings, unless they are there. Complete or absent: renamed at the end.
make_tls_material() {
    local dir
    [[ ! -d $(tls_dir) ]] || return 0
    need openssl openssl
    dir=$(tls_dir).partial
    rm -rf "$dir"
    (umask 077 && mkdir -p "$dir")
    openssl rand -hex 12 >"$dir/password"
    make_certificates "$dir" 2>"$dir/log" || die 1 "could not make certificates: $(tail -n 3 "$dir/log")"
    keytool -importcert -noprompt -alias ca -file "$dir/ca.pem" -storetype PKCS12 \
        -keystore "$dir/truststore.p12" -storepass "$(<"$dir/password")" >"$dir/log" 2>&1 ||
        die 1 "could not make a truststore: $(<"$dir/log")"
    write_client_properties "$dir"
    rm "$dir/log"
    mv -T "$dir" "$(tls_dir)"
}

# make_certificates DIR: ca.pem, and broker.pem with the key, the certificate and its chain, as Kafka reads it.
make_certificates() {
    local new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config "$1/openssl.cnf")
    cat >"$1/openssl.cnf" <<'END'
[req]
prompt = no
distinguished_name = name
[name]
CN = streamgauge test
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[broker]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
END
    openssl req -x509 "${new_key[@]}" -extensions ca -days 3650 -keyout "$1/ca.key" -out "$1/ca.pem" &&
        openssl req -new "${new_key[@]}" -subj /CN=localhost -keyout "$1/broker.key" -out "$1/broker.csr" &&
        openssl x509 -req -in "$1/broker.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 3650 \
            -extfile "$1/openssl.cnf" -extensions broker -out "$1/broker.crt" &&
        cat "$1/broker.key" "$1/broker.crt" "$1/ca.pem" >"$1/broker.pem"
}

# write_client_properties DIR: what Java clients take by --command-config, for the SASL_SSL and the SSL listener.
write_client_properties() {
    cat >"$1/client-ssl.properties" <<END
security.protocol=SSL
ssl.truststore.type=PEM
ssl.truststore.location=$(tls_dir)/ca.pem
END
    cat >"$1/client-sasl.properties" <<END
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location=$(tls_dir)/ca.pem
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="$SASL_USER" password="$(<"$1/password")";
END
}

# tls_properties: the broker's side. Brokers talk to each other on the PLAINTEXT listener.
tls_properties() {
    local password mechanism
    password=$(<"$(tls_dir)/password")
    cat <<END
ssl.keystore.type=PEM
ssl.keystore.location=$(tls_dir)/broker.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$SASL_USER="$password";
END
    for mechanism in scram-sha-256 scram-sha-512; do
        echo "listener.name.sasl_ssl.$mechanism.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
    done
}

# make_scram_user: SCRAM's secrets live in the cluster's metadata; the running brokers are told once. One request for each
# mechanism, since KRaft refuses two for the same user in one; one after the other, since ZooKeeper keeps a user's
# secrets in one node and two writers at once lose one of them. Then it is tried until a broker has heard of it.
make_scram_user() {
    local mechanism log tries
    [[ ! -e $(tls_dir)/$SCRAM_DONE ]] || return 0
    log=$(tls_dir)/scram.log
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
        (run_tool configs --alter --entity-type users --entity-name "$SASL_USER" \
            --add-config "$mechanism=[password=$(<"$(tls_dir)/password")]") >"$log" 2>&1 ||
            die 1 "could not create the SCRAM user: $(cat "$log")"
    done
    for ((tries = 1; ; tries++)); do
        (run_tool topics --bootstrap-server "$(bootstrap_servers sasl_port)" \
            --command-config "$(tls_dir)/client-sasl.properties" --list) >"$log" 2>&1 && break
        ((tries < 10)) || die 1 "the SCRAM user is refused: $(tail -n 3 "$log")"
    done
    touch "$(tls_dir)/$SCRAM_DONE"
}

print_tls_access() {
    cat <<END
sasl_bootstrap=$(bootstrap_servers sasl_port)
ssl_bootstrap=$(bootstrap_servers ssl_port)
ca=$(tls_dir)/ca.pem
username=$SASL_USER
password=$(<"$(tls_dir)/password")
truststore=$(tls_dir)/truststore.p12
client_properties=$(tls_dir)/client-sasl.properties
END
}
